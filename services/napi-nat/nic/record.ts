// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A NIC as stored and as shown (facts: triton-napi 5.1, 9.1). What a NIC shows
 * of its network is joined when it is shown, so it is never stale.
 */

import { formatMac, mac as toMac } from '#lib/net/mac.js';
import type { BucketConfig } from '#lib/store/types.js';
import { type NetworkRecord, netmaskOf } from '../network/record.js';

export const NIC_BUCKET = 'napi_nics';

/** Flags that are stored, and shown, only when true. */
export const NIC_FLAGS = [
  'allow_dhcp_spoofing',
  'allow_ip_spoofing',
  'allow_mac_spoofing',
  'allow_restricted_traffic',
  'allow_unfiltered_promisc',
  'underlay',
] as const;
export type NicFlag = (typeof NIC_FLAGS)[number];
export const NIC_STATES = ['provisioning', 'stopped', 'running'] as const;
export const BELONGS_TO_TYPES = ['other', 'server', 'zone'] as const;

export interface NicRecord extends Partial<Record<NicFlag, true>> {
  /** As a number; the key is its decimal text. */
  mac: number;
  belongs_to_type: string;
  belongs_to_uuid: string;
  owner_uuid: string;
  primary_flag: boolean;
  state: string;
  /** Milliseconds since the epoch. */
  created_timestamp: number;
  modified_timestamp: number;
  /** Dotted quad; set together with `network_uuid`. */
  ipaddr?: string;
  network_uuid?: string;
  nic_tag?: string;
  nic_tags_provided?: string[];
  cn_uuid?: string;
  model?: string;
  v: 3;
}

export const nicBuckets: Record<string, BucketConfig> = {
  [NIC_BUCKET]: {
    index: {
      mac: { type: 'number', unique: true },
      belongs_to_type: { type: 'string' },
      belongs_to_uuid: { type: 'string' },
      owner_uuid: { type: 'string' },
      cn_uuid: { type: 'string' },
      network_uuid: { type: 'string' },
      ipaddr: { type: 'ip' },
      nic_tag: { type: 'string' },
      nic_tags_provided: { type: '[string]' },
      primary_flag: { type: 'boolean' },
      state: { type: 'string' },
      allow_dhcp_spoofing: { type: 'boolean' },
      allow_ip_spoofing: { type: 'boolean' },
      allow_mac_spoofing: { type: 'boolean' },
      allow_restricted_traffic: { type: 'boolean' },
      allow_unfiltered_promisc: { type: 'boolean' },
      underlay: { type: 'boolean' },
      created_timestamp: { type: 'number' },
      modified_timestamp: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 3 },
  },
};

/** The key of a NIC. */
export function nicKey(mac: number): string {
  return String(mac);
}

/** What a NIC shows of its network. */
function networkPart(nic: NicRecord, network: NetworkRecord): object {
  const fabric = network.fabric === true;
  const { gateway, routes } = network;
  return {
    ip: nic.ipaddr,
    network_uuid: network.uuid,
    mtu: network.mtu,
    netmask: netmaskOf(network),
    nic_tag: fabric
      ? `${network.nic_tag}/${network.vnet_id}`
      : (nic.nic_tag ?? network.nic_tag),
    resolvers: network.resolvers,
    vlan_id: network.vlan_id,
    ...(fabric && { fabric: true, internet_nat: network.internet_nat }),
    ...(gateway && { gateway }),
    ...(fabric &&
      gateway && {
        gateway_provisioned: network.gateway_provisioned === true,
      }),
    ...(routes && { routes: withLinkLocal(routes, nic.mac) }),
  };
}

function withLinkLocal(
  routes: Record<string, string>,
  mac: number,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(routes).map(([to, via]) => [
      to,
      via === 'linklocal' ? `macs[${formatMac(toMac(mac))}]` : via,
    ]),
  );
}

/**
 * What clients see.
 * @param network the NIC's, when it has an address on one
 */
export function serializeNic(
  nic: NicRecord,
  network: NetworkRecord | null,
): Record<string, unknown> {
  const flags = NIC_FLAGS.filter((name) => nic[name] === true);
  const tags = nic.nic_tags_provided ?? [];
  return {
    belongs_to_type: nic.belongs_to_type,
    belongs_to_uuid: nic.belongs_to_uuid,
    mac: formatMac(toMac(nic.mac)),
    owner_uuid: nic.owner_uuid,
    primary: nic.primary_flag,
    state: nic.state,
    created_timestamp: new Date(nic.created_timestamp).toISOString(),
    modified_timestamp: new Date(nic.modified_timestamp).toISOString(),
    ...(nic.nic_tag && { nic_tag: nic.nic_tag }),
    ...(network && nic.ipaddr && networkPart(nic, network)),
    ...(nic.cn_uuid && { cn_uuid: nic.cn_uuid }),
    ...(nic.model && { model: nic.model }),
    ...(tags.length > 0 && { nic_tags_provided: tags }),
    ...Object.fromEntries(flags.map((name) => [name, true])),
  };
}
