// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The kernel adapter on a real kernel: a neighbour on the external link gets
 * an ARP answer for an announced public IP and for no other, without global
 * forwarding; strays of a killed daemon are found; nobody else's routes,
 * neighbours and addresses are touched.
 */

import test, { type Test } from 'tape';
import { arpAnnouncer } from '../../services/vxlnatd/announce/arp.js';
import { runIp } from '../../services/vxlnatd/os/ip.js';
import { linuxKernel } from '../../services/vxlnatd/os/linux.js';
import { zoneSwitches } from '../../services/vxlnatd/os/sysctl.js';
import { Lab, sh } from './lab/lab.js';

let lab: Lab;
/** The zone's namespace. */
let zone: string;

function inside(machine: string, command: string): string {
  return sh(`ip netns exec ${lab.ns(machine)} sh -c '${command}'`);
}

function setUp(t: Test): void {
  lab = new Lab('vxd');
  t.teardown(() => lab.down());
  lab.add('zone', 'router');
  zone = lab.ns('zone');
  lab.cable(
    { at: 'zone', device: 'ext0', address: '203.0.113.2/24' },
    { at: 'router', device: 'rtr0', address: '203.0.113.1/24' },
  );
  lab.cable(
    { at: 'zone', device: 'und0', address: '192.168.12.6/24' },
    { at: 'zone', device: 'und1' },
  );
  lab.ip('zone', 'tuntap add vxn0 mode tun');
  lab.ip('router', 'route add 3.3.3.0/28 dev rtr0');
}

function openKernel() {
  const announced: string[] = [];
  const kernel = linuxKernel({
    run: (args, input) => runIp(['-n', zone, ...args], input),
    tun: { name: 'vxn0', mtu: 1500 },
    underlay: 'und0',
    announcer: arpAnnouncer('ext0'),
    gratuitous: {
      start: (device, ip) => announced.push(`${device} ${ip}`),
      stop: () => {},
      close: () => {},
    },
    setSwitches: async () => {
      for (const [path, value] of zoneSwitches({
        tun: 'vxn0',
        external: 'ext0',
        underlay: 'und0',
      })) {
        inside('zone', `echo ${value} > /proc/sys/net/ipv4/${path}`);
      }
    },
  });
  return { kernel, announced };
}

/** The MAC that the router learns for an address, or null. */
function resolved(ip: string): string | null {
  sh(`ip -n ${lab.ns('router')} neigh flush dev rtr0`);
  inside('router', `ping -c1 -W1 ${ip} || true`);
  const text = sh(`ip -n ${lab.ns('router')} neigh show ${ip} dev rtr0`);
  return /lladdr (\S+)/.exec(text)?.[1] ?? null;
}

test('a public IP is answered for exactly while announced', async (t) => {
  setUp(t);
  const { kernel, announced } = openKernel();
  await kernel.prepare();
  t.equal(
    inside('zone', 'cat /proc/sys/net/ipv4/conf/und0/forwarding').trim(),
    '0',
    'the underlay does not forward',
  );
  const mac = inside('zone', 'cat /sys/class/net/ext0/address').trim();
  t.deepEqual(
    await kernel.run([
      { kind: 'route', ip: '3.3.3.2' },
      { kind: 'route', ip: '3.3.3.3' },
      { kind: 'announce', ip: '3.3.3.2' },
    ]),
    [null, null, null],
  );
  t.equal(resolved('3.3.3.2'), mac, 'announced: answered');
  t.equal(resolved('3.3.3.3'), null, 'only routed: silent');
  t.deepEqual(announced, ['ext0 3.3.3.2']);
  await kernel.run([{ kind: 'withdraw', ip: '3.3.3.2' }]);
  t.equal(resolved('3.3.3.2'), null, 'withdrawn: silent');
});

test('strays are found, others are left alone', async (t) => {
  setUp(t);
  const first = openKernel();
  await first.kernel.prepare();
  const steps = [
    { kind: 'route', ip: '3.3.3.2' },
    { kind: 'announce', ip: '3.3.3.2' },
    { kind: 'take', ip: '192.168.12.7' },
  ] as const;
  t.deepEqual(await first.kernel.run([...steps]), [null, null, null]);
  t.deepEqual(await first.kernel.run([...steps]), [null, null, null]);
  sh(`ip -n ${zone} neigh add proxy 203.0.113.99 dev ext0`);
  sh(`ip -n ${zone} route add 3.3.3.9/32 dev vxn0`);
  const { kernel } = openKernel();
  const seen = await kernel.observe();
  t.deepEqual([...(seen?.routed ?? [])], ['3.3.3.2']);
  t.deepEqual([...(seen?.announced ?? [])], ['3.3.3.2']);
  t.deepEqual([...(seen?.takeovers ?? [])], ['192.168.12.7']);
  t.deepEqual(
    await kernel.run([
      { kind: 'withdraw', ip: '3.3.3.2' },
      { kind: 'give_up', ip: '192.168.12.7' },
      { kind: 'unroute', ip: '3.3.3.2' },
      { kind: 'unroute', ip: '3.3.3.14' },
    ]),
    [null, null, null, null],
  );
  const after = await kernel.observe();
  t.equal(after?.routed.size, 0);
  t.equal(after?.announced?.size, 0);
  t.equal(after?.takeovers.size, 0);
  t.ok(sh(`ip -n ${zone} neigh show proxy`).includes('203.0.113.99'));
  t.ok(sh(`ip -n ${zone} route show dev vxn0`).includes('3.3.3.9'));
  t.ok(sh(`ip -n ${zone} addr show dev und0`).includes('192.168.12.6/24'));
});

test('an operation on a missing device names the command', async (t) => {
  setUp(t);
  const { kernel } = openKernel();
  sh(`ip -n ${zone} link del vxn0`);
  await kernel
    .prepare()
    .then(() => t.fail('accepted'))
    .catch((error: Error) =>
      t.ok(error.message.startsWith('ip link set dev vxn0'), error.message),
    );
  const [outcome] = await kernel.run([{ kind: 'route', ip: '3.3.3.2' }]);
  t.ok(outcome?.includes('vxn0'), outcome ?? 'accepted');
});
