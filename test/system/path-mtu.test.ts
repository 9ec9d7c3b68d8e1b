// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A router of the underlay that carries less than the rest, by every path: who
 * sends what is too long is told by the gateway (M4).
 *
 *   CN 192.168.12.1 -- 1400 bytes -- RTR -- und0 GW ext0 -- WAN 203.0.113.1
 *   vx1: 10.4.5.1, 1:1 to 3.3.3.5
 */

import { execFileSync } from 'node:child_process';
import test from 'tape';
import type { IoOptions, Operation } from '#native/index.js';
import { Gateway } from './gateway-client.js';
import { Lab } from './lab.js';

const lab = new Lab(`vxf${process.pid}`);
const NAMES = ['cn', 'rtr', 'gw', 'wan'] as const;
const skip = process.getuid?.() !== 0 && 'needs root';
const ROUTER_MAC = '90:b8:d0:00:00:01';
const HOST_MAC = '90:b8:d0:00:01:01';
const AIP = '3.3.3.5';
const WAN = '203.0.113.1';

const OPERATIONS: Operation[] = [
  { op: 'add_ul3', ip: '192.168.13.6' },
  {
    op: 'set_rule',
    vnet: 1,
    vlan: 0,
    prefix: '10.4.4.0/22',
    router_ip: '10.4.4.1',
    router_mac: ROUTER_MAC,
    public_ip: '3.3.3.2',
  },
  {
    op: 'set_one_to_one',
    vnet: 1,
    vlan: 0,
    private_ip: '10.4.5.1',
    public_ip: AIP,
  },
  {
    op: 'set_remote',
    vnet: 1,
    ip: '10.4.5.1',
    mac: HOST_MAC,
    ul3_ip: '192.168.12.1',
    ul3_port: 4789,
  },
];

function sh(command: string): void {
  execFileSync('sh', ['-ec', command]);
}

function up(): void {
  const [cn, rtr, gw, wan] = NAMES.map((name) => lab.ns(name));
  sh(`
    for ns in ${cn} ${rtr} ${gw} ${wan}; do
      ip netns add $ns; ip -n $ns link set lo up
      ip netns exec $ns sysctl -qw net.ipv4.ip_forward=1
    done
    ip -n ${cn} link add und0 type veth peer name low0 netns ${rtr}
    ip -n ${rtr} link add high0 type veth peer name und0 netns ${gw}
    ip -n ${wan} link add wan0 type veth peer name ext0 netns ${gw}
    ip -n ${rtr} link set low0 mtu 1400
    ip -n ${cn} addr add 192.168.12.1/24 dev und0
    ip -n ${rtr} addr add 192.168.12.254/24 dev low0
    ip -n ${rtr} addr add 192.168.13.254/24 dev high0
    ip -n ${gw} addr add 192.168.13.6/24 dev und0
    ip -n ${gw} addr add 203.0.113.2/24 dev ext0
    ip -n ${wan} addr add ${WAN}/24 dev wan0
    for at in "${cn} und0" "${rtr} low0" "${rtr} high0" "${gw} und0" \
      "${gw} ext0" "${wan} wan0"; do
      set -- $at
      ip -n $1 link set $2 up
      ip netns exec $1 ethtool -K $2 gro on
    done
    ip -n ${cn} route add 192.168.13.0/24 via 192.168.12.254
    ip -n ${gw} route add 192.168.12.0/24 via 192.168.13.254
    ip -n ${wan} route add 3.3.3.0/28 via 203.0.113.2
    ip -n ${cn} link add vx1 address ${HOST_MAC} mtu 1350 type vxlan \
      id 1 local 192.168.12.1 dev und0 dstport 4789 nolearning
    ip -n ${cn} addr add 10.4.5.1/22 dev vx1
    ip -n ${cn} link set vx1 up
    ip -n ${cn} neigh add 10.4.4.1 lladdr ${ROUTER_MAC} dev vx1
    bridge -n ${cn} fdb add ${ROUTER_MAC} dev vx1 dst 192.168.13.6
    ip -n ${cn} route add default via 10.4.4.1
  `);
}

function down(): void {
  lab.down();
  for (const name of NAMES) {
    sh(`ip netns del ${lab.ns(name)} 2>/dev/null || true`);
  }
}

const ping = (...args: string[]) =>
  lab.run('wan', 'ping', '-W', '1', '-i', '0.2', ...args, AIP);

for (const kind of ['xdp', 'af_xdp', 'tun'] as const) {
  test(`${kind}: M4 a narrow underlay is told to senders`, {
    skip,
  }, async (t) => {
    t.teardown(down);
    up();
    const io: IoOptions = {
      kind,
      underlay_interface: 'und0',
      external_interface: 'ext0',
      tun_name: 'vxn0',
    };
    const gateway = await Gateway.open(lab, { max_flows: 4096 }, io);
    const said: string[] = [];
    gateway.onEvent = (event) => {
      if (event.event === 'log') said.push(event.message);
    };
    lab.ip(`-n ${lab.ns('gw')} route replace 3.3.3.0/28 dev vxn0`);
    await gateway.apply(OPERATIONS);
    const status = await gateway.attach();
    t.equal(status.path, kind, status.why ?? 'the path asked for');

    const small = ping('-c', '3', '-s', '1322', '-M', 'do');
    t.equal(small.status, 0, 'what fits goes through');
    const large = ping('-c', '10', '-s', '1372', '-M', 'do');
    t.match(large.text, /mtu ?= ?1350/, 'what does not is answered');
    await gateway.io(); // what was said before comes before
    t.match(said.join('\n'), /1400 bytes at most to 192\.168\.12\.1/, 'log');
    lab.ip(`-n ${lab.ns('wan')} route flush cache`);
    const pieces = ping('-c', '3', '-s', '1372', '-M', 'dont');
    t.equal(pieces.status, 0, 'or goes in fragments');
    await gateway.close();
  });
}
