// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The kernel adapter on a real kernel: a neighbour on the external link gets
 * an ARP answer for an announced public IP and for no other, without global
 * forwarding; strays of a killed daemon are found; nobody else's routes,
 * neighbours and addresses are touched.
 */

import { execFileSync } from 'node:child_process';
import test from 'tape';
import { arpAnnouncer } from '../../services/vxlnatd/announce/arp.js';
import { runIp } from '../../services/vxlnatd/os/ip.js';
import { linuxKernel } from '../../services/vxlnatd/os/linux.js';
import { zoneSwitches } from '../../services/vxlnatd/os/sysctl.js';

const ZONE = `vxdz${process.pid}`;
const ROUTER = `vxdr${process.pid}`;

function sh(command: string): string {
  return execFileSync('sh', ['-c', command], { encoding: 'utf8' });
}

function inside(namespace: string, command: string): string {
  return sh(`ip netns exec ${namespace} sh -c '${command}'`);
}

function setUp() {
  sh(`ip netns add ${ZONE} && ip netns add ${ROUTER}`);
  sh(
    `ip -n ${ZONE} link add ext0 type veth peer name rtr0 netns ${ROUTER}; ` +
      `ip -n ${ZONE} link add und0 type veth peer name und1; ` +
      `ip -n ${ZONE} addr add 203.0.113.2/24 dev ext0; ` +
      `ip -n ${ZONE} addr add 192.168.12.6/24 dev und0; ` +
      `ip -n ${ROUTER} addr add 203.0.113.1/24 dev rtr0; ` +
      `ip -n ${ROUTER} link set rtr0 up`,
  );
  for (const device of ['ext0', 'und0', 'und1']) {
    sh(`ip -n ${ZONE} link set ${device} up`);
  }
  sh(`ip -n ${ZONE} tuntap add vxn0 mode tun`);
  sh(`ip -n ${ROUTER} route add 3.3.3.0/28 dev rtr0`);
}

function tearDown() {
  sh(`ip netns del ${ZONE}; ip netns del ${ROUTER}`);
}

function openKernel() {
  const announced: string[] = [];
  const kernel = linuxKernel({
    run: (args, input) => runIp(['-n', ZONE, ...args], input),
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
        inside(ZONE, `echo ${value} > /proc/sys/net/ipv4/${path}`);
      }
    },
  });
  return { kernel, announced };
}

/** The MAC that the router learns for an address, or null. */
function resolved(ip: string): string | null {
  sh(`ip -n ${ROUTER} neigh flush dev rtr0`);
  inside(ROUTER, `ping -c1 -W1 ${ip} || true`);
  const text = sh(`ip -n ${ROUTER} neigh show ${ip} dev rtr0`);
  return /lladdr (\S+)/.exec(text)?.[1] ?? null;
}

test('a public IP is answered for exactly while announced', async (t) => {
  setUp();
  try {
    const { kernel, announced } = openKernel();
    await kernel.prepare();
    t.equal(
      inside(ZONE, 'cat /proc/sys/net/ipv4/conf/und0/forwarding').trim(),
      '0',
      'the underlay does not forward',
    );
    const mac = inside(ZONE, 'cat /sys/class/net/ext0/address').trim();
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
  } finally {
    tearDown();
  }
});

test('strays are found, others are left alone', async (t) => {
  setUp();
  try {
    const first = openKernel();
    await first.kernel.prepare();
    const steps = [
      { kind: 'route', ip: '3.3.3.2' },
      { kind: 'announce', ip: '3.3.3.2' },
      { kind: 'take', ip: '192.168.12.7' },
    ] as const;
    t.deepEqual(await first.kernel.run([...steps]), [null, null, null]);
    t.deepEqual(await first.kernel.run([...steps]), [null, null, null]);
    sh(`ip -n ${ZONE} neigh add proxy 203.0.113.99 dev ext0`);
    sh(`ip -n ${ZONE} route add 3.3.3.9/32 dev vxn0`);
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
    t.ok(sh(`ip -n ${ZONE} neigh show proxy`).includes('203.0.113.99'));
    t.ok(sh(`ip -n ${ZONE} route show dev vxn0`).includes('3.3.3.9'));
    t.ok(sh(`ip -n ${ZONE} addr show dev und0`).includes('192.168.12.6/24'));
  } finally {
    tearDown();
  }
});

test('an operation on a missing device names the command', async (t) => {
  setUp();
  try {
    const { kernel } = openKernel();
    sh(`ip -n ${ZONE} link del vxn0`);
    await kernel
      .prepare()
      .then(() => t.fail('accepted'))
      .catch((error: Error) =>
        t.ok(error.message.startsWith('ip link set dev vxn0'), error.message),
      );
    const [outcome] = await kernel.run([{ kind: 'route', ip: '3.3.3.2' }]);
    t.ok(outcome?.includes('vxn0'), outcome ?? 'accepted');
  } finally {
    tearDown();
  }
});
