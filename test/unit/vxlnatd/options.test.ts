// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Command line and configuration: every fault names where it is. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import test, { type Test } from 'tape';
import { UsageError } from '#lib/errors.js';
import { temporaryDirectory } from '#test/tmp.js';
import { engineConfig } from '../../../services/vxlnatd/config.js';
import { OPTIONS, readCommandLine } from '../../../services/vxlnatd/options.js';

const ZONE = '7a6f6e65-0000-4000-8000-000000000001';

const WHOLE = {
  zone_uuid: ZONE,
  napi: { url: 'http://127.0.0.1:80' },
  svp: { host: '127.0.0.1' },
  underlay: { interface: 'und0', ip: '192.168.12.6' },
  external: { interface: 'ext0', ip: '3.3.3.14' },
};

function read(argv: string[]) {
  return readCommandLine(parseArgs({ args: argv, options: OPTIONS }).values);
}

function fileOf(t: Test, content: unknown): string {
  const file = join(temporaryDirectory(t), 'config.json');
  writeFileSync(
    file,
    typeof content === 'string' ? content : JSON.stringify(content),
  );
  return file;
}

test('a configuration file is completed with defaults', (t) => {
  const { config, rules } = read(['-c', fileOf(t, WHOLE)]);
  t.equal(rules, null);
  t.equal(config.announce, 'arp');
  t.deepEqual(config.svp, { host: '127.0.0.1', port: 1296 });
  t.deepEqual(config.admin, { host: '127.0.0.1', port: 2960 });
  t.equal(config.engine.timers.tcp_established, 7_440_000);
  t.equal(engineConfig(config, 'f'.repeat(32)).seed, 'f'.repeat(32));
  t.notOk('burst' in engineConfig(config, 'f'.repeat(32)));
  t.end();
});

test('options overlay the file', (t) => {
  const { config } = read([
    '-c',
    fileOf(t, { ...WHOLE, engine: { timers: { udp: 1000 } } }),
    '--tun=nat7',
    '--ports=2000-3000',
    '--timer=udp=30',
    '--timer=icmp=5',
    '--admin=0.0.0.0:0',
    '--no-manage-os',
    '--announce=none',
  ]);
  t.equal(config.tun.name, 'nat7');
  t.equal(config.engine.port_low, 2000);
  t.equal(config.engine.timers.udp, 30_000);
  t.equal(config.engine.timers.icmp, 5000);
  t.deepEqual(config.admin, { host: '0.0.0.0', port: 0 });
  t.equal(config.manage_os, false);
  t.equal(config.announce, 'none');
  t.equal(config.underlay.interface, 'und0', 'what was not given stays');
  t.end();
});

test('a rules file needs no configuration', (t) => {
  const { config, rules } = read(['-f', 'rules', '--external', 'ext0']);
  t.equal(rules, 'rules');
  t.equal(config.napi, null);
  t.equal(config.announce, 'arp');
  t.equal(read([]).rules, '/etc/inet/vxlnat.conf', 'the prototype default');
  t.end();
});

test('every fault names the option or the path', (t) => {
  const faults: [string, string[], unknown, RegExp][] = [
    ['no napi', [], { ...WHOLE, napi: null }, /\/napi: missing/],
    ['no zone', [], { ...WHOLE, zone_uuid: undefined }, /\/zone_uuid: missing/],
    ['no UL3', [], { ...WHOLE, underlay: {} }, /\/underlay\/ip: missing/],
    [
      'octet too large',
      [],
      { ...WHOLE, underlay: { ip: '192.168.12.256' } },
      /\/underlay\/ip: "192.168.12.256" is not an IPv4 address/,
    ],
    ['unknown key', [], { ...WHOLE, frob: 1 }, /config\.json: \/frob/],
    ['unknown inside', [], { ...WHOLE, tun: { nam: 'x' } }, /\/tun\/nam/],
    ['wrong type', [], { ...WHOLE, tun: { mtu: 'x' } }, /\/tun\/mtu/],
    ['no JSON', [], '{', /config\.json: is not JSON/],
    ['both', ['-f', 'x'], WHOLE, /\/napi: cannot be used together with -f/],
    ['device name', ['--tun=a b'], WHOLE, /--tun: "a b" is not a device/],
    ['ports', ['--ports=9-1'], WHOLE, /--ports: "1" is not a number from 9/],
    ['ports form', ['--ports=9'], WHOLE, /--ports: "9" is not of the form/],
    ['timer name', ['--timer=tpc=1'], WHOLE, /--timer: "tpc=1" is not NAME/],
    ['timer value', ['--timer=udp=x'], WHOLE, /--timer udp: "x" is not/],
    ['admin', ['--admin=2960'], WHOLE, /--admin: "2960" is not of the form/],
    ['announce', ['--announce=rip'], WHOLE, /--announce: "rip" is not/],
    [
      'port order',
      [],
      { ...WHOLE, engine: { port_low: 9, port_high: 8 } },
      /\/engine\/port_low: above port_high/,
    ],
    [
      'arp without device',
      [],
      { ...WHOLE, external: {}, announce: 'arp' },
      /\/external\/interface: missing/,
    ],
    [
      'IPv6 session',
      [],
      {
        ...WHOLE,
        announce: 'bgp',
        bgp: { local_as: 1, neighbors: [{ ip: '2001:db8::1', as: 2 }] },
      },
      /\/bgp\/neighbors\/0\/ip: must be an IPv4 address: there are no IPv6/,
    ],
  ];
  for (const [name, argv, content, expected] of faults) {
    try {
      read(['-c', fileOf(t, content), ...argv]);
      t.fail(`${name}: accepted`);
    } catch (error) {
      t.ok(error instanceof UsageError, `${name}: is a usage error`);
      t.ok(expected.test((error as Error).message), (error as Error).message);
    }
  }
  t.end();
});
