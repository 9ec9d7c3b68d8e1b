// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The kernel adapter: marked, swept, and honest about what failed. */

import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { arpAnnouncer } from '../../../services/vxlnatd/announce/arp.js';
import {
  createGratuitous,
  type Gratuitous,
} from '../../../services/vxlnatd/announce/gratuitous.js';
import type { RunIp } from '../../../services/vxlnatd/os/ip.js';
import { linuxKernel } from '../../../services/vxlnatd/os/linux.js';
import {
  setSwitches,
  zoneSwitches,
} from '../../../services/vxlnatd/os/sysctl.js';

/** As much of iproute2 as the adapter uses: sets of lines. */
class FakeIp {
  readonly routes = new Set<string>();
  readonly neighbours = new Set<string>();
  readonly addresses = new Set<string>();
  readonly lines: string[] = [];
  broken = '';

  readonly run: RunIp = async (args, input = '') => {
    if (args.includes('-batch')) return this.#batch(input);
    const answer = (stdout: string) => ({ status: 0, stdout, stderr: '' });
    const lines = (ips: Set<string>, rest: string) =>
      [...ips].map((ip) => `${ip} ${rest} \n`).join('');
    if (args[0] === 'route') return answer(lines(this.routes, 'scope link'));
    if (args[0] === 'neigh') {
      const own = lines(this.neighbours, 'proxy proto 158');
      return answer(`${own}9.9.9.9 proxy \n`);
    }
    const addr_info = [...this.addresses].map((local) => ({
      local,
      label: 'und0:v',
    }));
    const own = { local: '192.168.12.6', label: 'und0' };
    return answer(JSON.stringify([{ addr_info: [own, ...addr_info] }]));
  };

  #batch(input: string) {
    let failed = false;
    for (const line of input.trim().split('\n')) {
      this.lines.push(line);
      if (this.broken !== '' && line.includes(this.broken)) {
        failed = true;
        continue;
      }
      const [object, verb, ...rest] = line.split(' ');
      const ip = (rest[0] === 'proxy' ? rest[1] : rest[0]) as string;
      const set =
        object === 'route'
          ? this.routes
          : object === 'neigh'
            ? this.neighbours
            : this.addresses;
      const key = ip.replace('/32', '');
      if (verb === 'del') failed = !set.delete(key) || failed;
      else set.add(key);
    }
    const stderr = failed ? 'RTNETLINK answers: No such process' : '';
    return { status: failed ? 2 : 0, stdout: '', stderr };
  }
}

function setUp() {
  const ip = new FakeIp();
  const sent: string[] = [];
  const gratuitous: Gratuitous = {
    start: (device, address) => sent.push(`${device} ${address}`),
    stop: (address) => sent.push(`stop ${address}`),
    close: () => {},
  };
  const kernel = linuxKernel({
    run: ip.run,
    tun: { name: 'vxn0', mtu: 1500 },
    underlay: 'und0',
    external_ip: '3.3.3.13',
    announcer: arpAnnouncer('ext0'),
    gratuitous,
    setSwitches: async () => {},
  });
  return { ip, sent, kernel };
}

test('steps become marked commands and gratuitous ARPs', async (t) => {
  const { ip, sent, kernel } = setUp();
  const outcomes = await kernel.run([
    { kind: 'route', ip: '3.3.3.2' },
    { kind: 'take', ip: '192.168.12.7' },
    { kind: 'claim', ip: '192.168.12.7' },
    { kind: 'announce', ip: '3.3.3.2' },
  ]);
  t.deepEqual(outcomes, [null, null, null, null]);
  t.deepEqual(ip.lines, [
    'route replace 3.3.3.2/32 dev vxn0 proto 158 src 3.3.3.13',
    'addr replace 192.168.12.7/32 dev und0 label und0:v',
    'neigh add proxy 3.3.3.2 dev ext0 protocol 158',
  ]);
  t.deepEqual(sent, ['und0 192.168.12.7', 'ext0 3.3.3.2']);
});

test('removing what is gone already is done', async (t) => {
  const { sent, kernel } = setUp();
  const outcomes = await kernel.run([
    { kind: 'withdraw', ip: '3.3.3.2' },
    { kind: 'unroute', ip: '3.3.3.2' },
    { kind: 'give_up', ip: '192.168.12.7' },
  ]);
  t.deepEqual(outcomes, [null, null, null]);
  t.deepEqual(sent, ['stop 3.3.3.2'], 'no repeat follows a withdrawal');
});

test('the command that failed is named, and only that one', async (t) => {
  const { ip, sent, kernel } = setUp();
  ip.broken = '3.3.3.9';
  const outcomes = await kernel.run([
    { kind: 'route', ip: '3.3.3.2' },
    { kind: 'route', ip: '3.3.3.9' },
    { kind: 'announce', ip: '3.3.3.9' },
  ]);
  t.equal(outcomes[0], null);
  t.ok(
    outcomes[1]?.startsWith('ip route replace 3.3.3.9/32 dev vxn0 proto 158 '),
    outcomes[1] ?? '',
  );
  t.ok(outcomes[2]?.includes('neigh add proxy 3.3.3.9'));
  t.deepEqual(sent, [], 'what does not hold is not announced');
});

test('only what carries our mark is ours', async (t) => {
  const { ip, kernel } = setUp();
  ip.neighbours.add('3.3.3.2');
  ip.addresses.add('192.168.12.7');
  const seen = await kernel.observe();
  t.deepEqual([...(seen?.announced ?? [])], ['3.3.3.2']);
  t.deepEqual([...(seen?.takeovers ?? [])], ['192.168.12.7']);
});

test('the underlay never forwards', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'vxlnatd-sysctl-'));
  const switches = zoneSwitches({
    tun: 'vxn0',
    external: 'ext0',
    underlay: 'und0',
  });
  for (const [path] of switches) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), '9\n');
  }
  await setSwitches(switches, root);
  t.equal(readFileSync(join(root, 'conf/und0/forwarding'), 'utf8'), '0');
  t.equal(readFileSync(join(root, 'conf/ext0/forwarding'), 'utf8'), '1');
  t.equal(readFileSync(join(root, 'neigh/ext0/proxy_delay'), 'utf8'), '0');
  rmSync(join(root, 'conf/vxn0'), { recursive: true });
  await setSwitches(switches, root)
    .then(() => t.fail('accepted'))
    .catch((error: Error) =>
      t.ok(error.message.includes('conf/vxn0/forwarding to 1'), error.message),
    );
  rmSync(root, { recursive: true });
});

test('gratuitous ARP is repeated twice, and never after a stop', (t) => {
  const timers: { ms: number; fn: () => void; cancelled: boolean }[] = [];
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    after(ms: number, fn: () => void) {
      const timer = { ms, fn, cancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.cancelled = true;
        },
      };
    },
    every: () => ({ cancel: () => {} }),
  };
  const sent: string[] = [];
  const gratuitous = createGratuitous(
    (device, ip) => {
      sent.push(`${device} ${ip}`);
      throw new Error('device is down');
    },
    clock,
    silentLogger(),
  );
  gratuitous.start('ext0', '3.3.3.2');
  t.equal(sent.length, 1, 'the first at once, and its failure is survived');
  t.deepEqual(
    timers.map((timer) => timer.ms),
    [200, 1000],
  );
  for (const timer of timers) timer.fn();
  t.equal(sent.length, 3);
  gratuitous.start('ext0', '3.3.3.3');
  gratuitous.stop('3.3.3.3');
  t.ok(timers.slice(2).every((timer) => timer.cancelled));
  t.end();
});
