// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A network as stored and as shown (facts: triton-napi 3.1, 9.1). The record
 * keeps addresses as text; the store's typed indexes compare them as numbers. Real NAPI's numeric duplicates, kept there for rollback, are not.
 */

import { netmask, parseCidr } from '#lib/net/cidr.js';
import type { Family } from '#lib/net/ip.js';
import { formatIpv4 } from '#lib/net/ipv4.js';
import type { BucketConfig } from '#lib/store/types.js';

export const NETWORK_BUCKET = 'napi_networks';

export interface NetworkRecord {
  uuid: string;
  name: string;
  /** `global:<name>` or `<owner>:<name>`: what makes names unique. */
  name_str: string;
  family: Family;
  mtu: number;
  nic_tag: string;
  vlan_id: number;
  /** CIDR text. */
  subnet: string;
  /** First address of the subnet: the overlap search sorts by it. */
  subnet_start: string;
  provision_start_ip: string;
  provision_end_ip: string;
  resolvers: string[];
  gateway?: string;
  routes?: Record<string, string>;
  description?: string;
  owner_uuids?: string[];
  fabric?: true;
  vnet_id?: number;
  /** Stored for every network, shown for fabrics. */
  internet_nat: boolean;
  gateway_provisioned?: boolean;
  /** The SNAT address, once the fabric is on NAT Reform (RFD 158). */
  nat_reform_public?: string;
  /** While it is converted: the SNAT address it will have, and the job. */
  nat_reform_next?: string;
  nat_reform_job?: string;
  /** VL2 of the default router under NAT Reform; never shown by /networks. */
  router_mac?: string;
  v: 4;
}

export const networkBuckets: Record<string, BucketConfig> = {
  [NETWORK_BUCKET]: {
    index: {
      uuid: { type: 'string', unique: true },
      name: { type: 'string' },
      name_str: { type: 'string', unique: true },
      family: { type: 'string' },
      fabric: { type: 'boolean' },
      nic_tag: { type: 'string' },
      vlan_id: { type: 'number' },
      vnet_id: { type: 'number' },
      owner_uuids: { type: '[string]' },
      subnet: { type: 'subnet' },
      subnet_start: { type: 'ip' },
      nat_reform_public: { type: 'ip' },
      v: { type: 'number' },
    },
    options: { version: 4 },
  },
};

/** A network as a client sees it. */
export type SerializedNetwork = Record<string, unknown>;

/** What may be asked for in `fields` (facts: triton-napi 3.1). */
export const NETWORK_FIELDS = [
  'description',
  'fabric',
  'internet_nat',
  'gateway',
  'mtu',
  'name',
  'nat_reform_public',
  'nic_tag',
  'owner_uuid',
  'owner_uuids',
  'provision_end_ip',
  'provision_start_ip',
  'resolvers',
  'routes',
  'subnet',
  'uuid',
  'vlan_id',
];

/** The name that must be unique: global, or the fabric owner's own. */
export function nameKey(name: string, fabricOwner?: string): string {
  return `${fabricOwner ?? 'global'}:${name}`;
}

/** The netmask of an IPv4 network's subnet. */
export function netmaskOf(network: Pick<NetworkRecord, 'subnet'>): string {
  return formatIpv4(netmask(parseCidr(network.subnet)?.bits ?? 32));
}

/**
 * What clients see. Fields that do not apply are absent, never null: strict
 * clients compare whole objects.
 * @param options `fields` to show only those; `singleOwner` for /fabrics,
 *   where `owner_uuid` stands in for `owner_uuids`
 */
export function serializeNetwork(
  network: NetworkRecord,
  options: { fields?: string[] | undefined; singleOwner?: boolean } = {},
): SerializedNetwork {
  const { fabric, gateway, owner_uuids: owners } = network;
  const all: SerializedNetwork = {
    family: network.family,
    mtu: network.mtu,
    nic_tag: network.nic_tag,
    name: network.name,
    provision_end_ip: network.provision_end_ip,
    provision_start_ip: network.provision_start_ip,
    vlan_id: network.vlan_id,
    subnet: network.subnet,
    uuid: network.uuid,
    resolvers: network.resolvers,
    ...(network.family === 'ipv4' && { netmask: netmaskOf(network) }),
    ...(gateway && { gateway }),
    ...(network.routes && { routes: network.routes }),
    ...(network.description && { description: network.description }),
    ...(owners?.length && ownersShown(owners, options.singleOwner === true)),
    ...(fabric && {
      fabric: true,
      vnet_id: network.vnet_id,
      internet_nat: network.internet_nat,
      ...(gateway && {
        gateway_provisioned: network.gateway_provisioned === true,
      }),
      ...(network.nat_reform_public && {
        nat_reform_public: network.nat_reform_public,
      }),
      ...(network.nat_reform_job && {
        nat_reform_public: network.nat_reform_public ?? '',
        nat_reform_job: network.nat_reform_job,
      }),
    }),
  };
  return pick(all, options.fields);
}

function ownersShown(owners: string[], single: boolean): object {
  return single ? { owner_uuid: owners[0] } : { owner_uuids: owners };
}

/** Only the fields asked for, where they exist. */
export function pick(
  all: SerializedNetwork,
  fields: string[] | undefined,
): SerializedNetwork {
  if (fields === undefined) return all;
  return Object.fromEntries(
    fields.filter((name) => name in all).map((name) => [name, all[name]]),
  );
}
