// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Addresses of both families: what is one, and how it is written. */

import { isIPv6 } from 'node:net';
import test from 'tape';
import {
  covers,
  formatIp,
  formatIpPrefix,
  holds,
  type Ip,
  type IpPrefix,
  lastIp,
  parseIp,
  parseIpPrefix,
  parseIpv6,
  stepped,
} from '#lib/net/ip.js';
import { seededRng, seedOfRun } from '#test/rng.js';

const prefix = (text: string) => parseIpPrefix(text) as IpPrefix;
const ip = (text: string) => parseIp(text) as Ip;

test('addresses have one text each', (t) => {
  const written: Record<string, string> = {
    '2001:DB8:0:0:0:0:0:1': '2001:db8::1',
    '0:0:0:0:0:0:0:0': '::',
    '::1': '::1',
    'fd00::': 'fd00::',
    '1:0:0:2:0:0:0:3': '1:0:0:2::3',
    '1:0:2:0:3:0:4:0': '1:0:2:0:3:0:4:0',
    '1:0:0:2:3:0:0:4': '1::2:3:0:0:4',
    '::ffff:10.1.2.3': '10.1.2.3',
    '::ffff:a01:203': '10.1.2.3',
    '64:ff9b::192.0.2.1': '64:ff9b::c000:201',
    '10.1.2.3': '10.1.2.3',
  };
  for (const [text, canonical] of Object.entries(written)) {
    const read = parseIp(text);
    t.equal(read && formatIp(read), canonical, text);
  }
  t.end();
});

test('what is no address is not read as one', (t) => {
  const rng = seededRng(seedOfRun());
  t.comment(`SEED=${rng.seed}`);
  const pieces = ['0', 'f', '12345', ':', '::', '1.2.3.4', 'g', '%1', ' ', '.'];
  const wrong: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    let text = '';
    for (let j = rng.between(1, 14); j > 0; j--) {
      text += rng.pick(pieces) + (rng.chance(0.5) ? ':' : '');
    }
    const expected = isIPv6(text) && !text.includes('%');
    if ((parseIpv6(text) !== null) !== expected) wrong.push(text);
  }
  t.deepEqual(wrong.slice(0, 5), [], 'as Node judges');
  t.end();
});

test('prefixes hold what is theirs', (t) => {
  const lab = prefix('fd00:1::/64');
  t.equal(formatIpPrefix(lab), 'fd00:1::/64');
  t.ok(holds(lab, ip('fd00:1::ffff')));
  t.notOk(holds(lab, ip('fd00:1:0:1::')));
  t.notOk(holds(prefix('0.0.0.0/0'), ip('fd00::1')), 'families are apart');
  t.equal(formatIp(lastIp(lab)), 'fd00:1::ffff:ffff:ffff:ffff');
  t.ok(covers(prefix('10.0.0.0/8'), prefix('10.9.0.0/16')));
  t.notOk(covers(prefix('10.9.0.0/16'), prefix('10.0.0.0/8')));
  for (const text of ['10.0.0.1/24', 'fd00::1/64', '10.0.0.0/33', '10.0.0.0']) {
    t.equal(parseIpPrefix(text), null, text);
  }
  t.equal(stepped(ip('255.255.255.255'), 1), null, 'no address follows');
  t.equal(formatIp(stepped(ip('fd00::ffff'), 1) as Ip), 'fd00::1:0');
  t.end();
});
