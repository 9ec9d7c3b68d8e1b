// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The VXLAN device of one vnet: made or taken over, put into its bridge, given
 * its VLAN programs, and removed. Idempotent: a device that is right already
 * is left alone, with its entries; one that is not is made anew.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatIpv4, type Ipv4 } from '#lib/net/ipv4.js';
import { formatMac, type Mac } from '#lib/net/mac.js';
import type { Ul3 } from '#lib/svp/messages.js';
import type { Commands } from './commands.js';
import type { AgentConfig, VnetConfig } from './config.js';
import { parseFdb, parseNeighbours, parseVxlan } from './output.js';
import { VLAN_SECTIONS, vlanObject } from './vlan-program.js';
import type { DeviceTables } from './vnet.js';

/** What was there before us and what we made. */
export interface Device {
  /** Entries of a device that was taken over; empty for a new one. */
  neighbours: [Ipv4, Mac][];
  endpoints: [Mac, Ul3][];
  /** Removes what `prepareDevice` made. */
  remove(): Promise<void>;
}

/** Whether a command that only looks says that the thing is there. */
async function look(commands: Commands, command: string): Promise<string> {
  try {
    return await commands.run('ip', command);
  } catch {
    return '';
  }
}

async function existing(
  commands: Commands,
  config: AgentConfig,
  vnet: VnetConfig,
): Promise<'right' | 'wrong' | 'none'> {
  const shown = await look(commands, `-j -d link show dev ${vnet.device}`);
  if (shown === '') return 'none';
  const found = parseVxlan(shown);
  const right =
    found?.vnet === vnet.vnet_id &&
    found.local === formatIpv4(config.underlay_ip) &&
    found.port === config.vxlan_port;
  return right ? 'right' : 'wrong';
}

async function addDevice(
  commands: Commands,
  config: AgentConfig,
  vnet: VnetConfig,
): Promise<void> {
  const under = config.underlay_interface;
  const words = [
    `link add name ${vnet.device} mtu ${config.mtu} type vxlan`,
    `id ${vnet.vnet_id} dstport ${config.vxlan_port}`,
    `local ${formatIpv4(config.underlay_ip)}`,
    ...(under === null ? [] : [`dev ${under}`]),
    // A zero checksum, as RFC 7348 section 5 wants it.
    'noudpcsum nolearning proxy l2miss l3miss',
  ];
  await commands.run('ip', words.join(' '));
}

/** Loads the programs that keep the fabric VLAN inside VXLAN. */
async function addVlan(commands: Commands, vnet: VnetConfig): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'svp-agent-'));
  const file = join(folder, `vlan${vnet.vlan}.o`);
  try {
    await writeFile(file, vlanObject(vnet.vlan));
    await commands.run('tc', `qdisc replace dev ${vnet.device} clsact`);
    for (const side of ['egress', 'ingress'] as const) {
      await commands.run(
        'tc',
        `filter replace dev ${vnet.device} ${side} pref 1 handle 1 ` +
          `protocol all bpf da obj ${file} sec ${VLAN_SECTIONS[side]}`,
      );
    }
  } catch (error) {
    throw new Error(
      `${vnet.device}: VLAN ${vnet.vlan} needs BPF at the tc hook ` +
        `(root, CONFIG_NET_CLS_BPF, tc with libbpf); ` +
        `use vlan 0 without: ${(error as Error).message}`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** VXLAN over IPv4 adds 50 bytes, a VLAN inside four more (RFC 7348). */
async function setMtu(
  commands: Commands,
  device: string,
  mtu: number,
): Promise<void> {
  try {
    await commands.run('ip', `link set dev ${device} mtu ${mtu}`);
  } catch (error) {
    throw new Error(
      `${device}: mtu ${mtu} needs ${mtu + 54} on the underlay: ` +
        `${(error as Error).message}`,
    );
  }
}

/** Puts the device into its bridge. @returns whether the bridge is ours */
async function addToBridge(
  commands: Commands,
  vnet: VnetConfig,
  mtu: number,
): Promise<boolean> {
  if (vnet.bridge === null) return false;
  const { bridge, device } = vnet;
  const missing = (await look(commands, `link show dev ${bridge}`)) === '';
  if (missing) {
    await commands.run(
      'ip',
      `link add name ${bridge} mtu ${mtu} type bridge ` +
        'forward_delay 0 mcast_snooping 0',
    );
  }
  await commands.run('ip', `link set dev ${bridge} up`);
  await commands.run('ip', `link set dev ${device} master ${bridge}`);
  return missing;
}

/**
 * Makes a vnet's device ready.
 * @throws Error naming the command that failed and what it said
 */
export async function prepareDevice(
  commands: Commands,
  config: AgentConfig,
  vnet: VnetConfig,
): Promise<Device> {
  const { device } = vnet;
  const before = await existing(commands, config, vnet);
  if (before === 'wrong') await commands.run('ip', `link del dev ${device}`);
  if (before !== 'right') await addDevice(commands, config, vnet);
  if (vnet.vlan !== 0) await addVlan(commands, vnet);
  const bridgeIsOurs = await addToBridge(commands, vnet, config.mtu);
  await setMtu(commands, device, config.mtu);
  await commands.run('ip', `link set dev ${device} up`);
  return {
    neighbours: parseNeighbours(
      await commands.run('ip', `-j neigh show dev ${device} nud permanent`),
    ),
    endpoints: parseFdb(
      await commands.run('bridge', `-j fdb show dev ${device}`),
    ).map(([mac, ip, port]) => [mac, { ip, port: port ?? config.vxlan_port }]),
    async remove() {
      await commands.run('ip', `link del dev ${device}`);
      if (bridgeIsOurs) await commands.run('ip', `link del dev ${vnet.bridge}`);
    },
  };
}

/** The kernel's entries of a device, through the long-lived processes. */
export function deviceTables(
  commands: Commands,
  device: string,
  vxlanPort: number,
): DeviceTables {
  return {
    setNeighbour(ip, mac) {
      const to = `${formatIpv4(ip)} lladdr ${formatMac(mac)}`;
      commands.stream('ip', `neigh replace ${to} dev ${device} nud permanent`);
    },
    removeNeighbour(ip) {
      commands.stream('ip', `neigh del ${formatIpv4(ip)} dev ${device}`);
    },
    setEndpoint(mac, at) {
      const port = at.port === vxlanPort ? '' : ` port ${at.port}`;
      commands.stream(
        'bridge',
        `fdb replace ${formatMac(mac)} dev ${device} ` +
          `dst ${formatIpv4(at.ip)}${port} self permanent`,
      );
    },
    removeEndpoint(mac) {
      commands.stream('bridge', `fdb del ${formatMac(mac)} dev ${device} self`);
    },
  };
}
