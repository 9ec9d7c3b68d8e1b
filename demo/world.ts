// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The wires of the example: three switches (underlay, external, admin), the
 * machines on them, the upstream router and the Internet host. No service runs
 * yet; `deployment.ts` starts them.
 *
 *   instances -- bridge -- cn-a cn-b cn-c
 *                             |    |    |
 *   underlay 192.168.12.0/24 -+----+----+---- zone1 ---- zone2 ---- head
 *   external 3.3.3.0/28 ------------------------+----------+-- up -- internet
 *   admin    10.99.99.0/24 ---- everyone but up and internet
 */

import type { Lab } from './netns.js';
import {
  HEAD,
  INTERNET,
  type Instance,
  NODES,
  UPSTREAM,
  ZONES,
} from './topology.js';

/** Underlay MTU with room for VXLAN around a 1500 byte inner packet. */
const UNDERLAY_MTU = 1600;

/** Builds every machine that is there before the first customer. */
export async function buildWorld(lab: Lab): Promise<void> {
  const nodes = NODES.map((node) => node.name);
  const zones = ZONES.map((zone) => zone.name);
  await lab.addMachines([
    'switch',
    HEAD.name,
    ...zones,
    ...nodes,
    'up',
    'internet',
  ]);
  await lab.ip('switch', [
    'link add br-underlay mtu 1600 type bridge forward_delay 0',
    'link add br-external type bridge forward_delay 0',
    'link add br-admin type bridge forward_delay 0',
    'link set br-underlay up',
    'link set br-external up',
    'link set br-admin up',
  ]);
  await attach(lab, HEAD.name, 'admin0', 'admin', `${HEAD.admin}/24`);
  await attach(lab, HEAD.name, 'underlay0', 'underlay', `${HEAD.underlay}/24`);
  for (const node of NODES) {
    await attach(lab, node.name, 'admin0', 'admin', `${node.admin}/24`);
    await attach(lab, node.name, 'underlay0', 'underlay', `${node.ul3}/24`);
  }
  for (const zone of ZONES) {
    await attach(lab, zone.name, 'admin0', 'admin', `${zone.admin}/24`);
    await attach(lab, zone.name, 'underlay0', 'underlay', `${zone.ul3}/24`);
    await attach(lab, zone.name, 'ext0', 'external', `${zone.external}/28`);
    await lab.ip(zone.name, [`route add default via ${UPSTREAM.external}`]);
  }
  await attach(lab, 'up', 'ext0', 'external', `${UPSTREAM.external}/28`);
  await lab.cable(
    { machine: 'up', device: 'inet0' },
    { machine: 'internet', device: 'eth0' },
  );
  await lab.ip('up', [`addr add ${UPSTREAM.internet}/24 dev inet0`]);
  // Strict: what comes from a source that has no way back is counted, so a
  // private or underlay address that leaves a zone does not go unnoticed.
  await lab.sysctl('up', {
    'net.ipv4.ip_forward': '1',
    'net.ipv4.conf.all.rp_filter': '1',
    'net.ipv4.conf.ext0.rp_filter': '1',
  });
  await lab.ip('internet', [
    `addr add ${INTERNET.ip}/24 dev eth0`,
    `route add default via ${UPSTREAM.internet}`,
  ]);
}

/** Plugs a machine into a switch and gives the port its address. */
async function attach(
  lab: Lab,
  machine: string,
  device: string,
  network: 'underlay' | 'external' | 'admin',
  address: string,
): Promise<void> {
  const port = `${machine}-${network.slice(0, 3)}`;
  await lab.cable({ machine, device }, { machine: 'switch', device: port });
  await lab.ip('switch', [
    ...(network === 'underlay' ? [`link set ${port} mtu ${UNDERLAY_MTU}`] : []),
    `link set ${port} master br-${network}`,
  ]);
  await lab.ip(machine, [
    ...(network === 'underlay'
      ? [`link set ${device} mtu ${UNDERLAY_MTU}`]
      : []),
    `addr add ${address} dev ${device}`,
  ]);
}

/** The bridge on a compute node that the instances of a vnet share. */
export function vnetBridge(vnet: number): string {
  return `br-v${vnet}`;
}

/**
 * Puts an instance behind its compute node's bridge for the vnet, as a VNIC
 * sits behind the overlay device. The VXLAN device itself is svp-agent's work.
 */
export async function addInstance(
  lab: Lab,
  instance: Instance,
  nic: { mac: string; prefix: number; gateway: string; mtu: number },
  vnet: number,
): Promise<void> {
  const port = `i-${instance.name}`;
  await lab.addMachines([instance.name]);
  await lab.cable(
    { machine: instance.name, device: 'net0', mac: nic.mac },
    { machine: instance.node, device: port },
  );
  await lab.ip(instance.node, [`link set ${port} master ${vnetBridge(vnet)}`]);
  await lab.ip(instance.name, [
    `link set net0 mtu ${nic.mtu}`,
    `addr add ${instance.ip}/${nic.prefix} dev net0`,
    `route add default via ${nic.gateway}`,
  ]);
}

/** Makes the bridge of a vnet on a compute node, ready for svp-agent. */
export async function addVnetBridge(
  lab: Lab,
  node: string,
  vnet: number,
): Promise<void> {
  const bridge = vnetBridge(vnet);
  await lab.ip(node, [
    `link add ${bridge} type bridge forward_delay 0 mcast_snooping 0`,
    `link set ${bridge} up`,
  ]);
}

/**
 * How many packets reached the upstream router from a source address that has
 * no business there (RFC 3704 strict reverse path; the kernel's counter).
 */
export async function strangeSources(lab: Lab): Promise<number> {
  const text = await lab.exec('up', ['cat', '/proc/net/netstat']);
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' ')) as [string[], string[]];
  return Number(values[names.indexOf('IPReversePathFilter')]);
}
