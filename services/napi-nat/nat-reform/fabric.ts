// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A network record as NAT Reform sees it: the only file here that knows which
 * fields of the record matter.
 */

import type { FabricRule } from '#lib/model/dataplane.js';
import { parseCidr } from '#lib/net/cidr.js';
import { formatMac, mac } from '#lib/net/mac.js';
import type { NetworkRecord } from '../network/record.js';
import type { Load } from '../placement.js';

/** A fabric network that could be on NAT Reform. */
export type Fabric = Omit<FabricRule, 'nat_reform_public' | 'router_mac'>;

/** The fabric that a network is; null without fabric, vnet or gateway. */
export function routableFabric(network: NetworkRecord): Fabric | null {
  const owner = network.owner_uuids?.[0];
  if (network.fabric !== true || network.vnet_id === undefined) return null;
  if (network.gateway === undefined || owner === undefined) return null;
  return {
    network_uuid: network.uuid,
    owner_uuid: owner,
    vnet_id: network.vnet_id,
    vlan_id: network.vlan_id,
    subnet: network.subnet,
    gateway: network.gateway,
  };
}

/** The SNAT rule of a network; null when it is not on NAT Reform. */
export function fabricOf(network: NetworkRecord): FabricRule | null {
  const fabric = routableFabric(network);
  const { nat_reform_public, router_mac } = network;
  if (fabric === null || !nat_reform_public || !router_mac) return null;
  return { ...fabric, router_mac, nat_reform_public };
}

/**
 * The rule that zones should have for a network: also while it is converted,
 * when its default router is still the old NAT zone.
 */
export function ruleOf(network: NetworkRecord): FabricRule | null {
  const { nat_reform_public, nat_reform_next } = network;
  const address = nat_reform_public ?? nat_reform_next;
  if (address === undefined) return null;
  return fabricOf({ ...network, nat_reform_public: address });
}

/** What a fabric weighs in placement. */
export function fabricLoad(fabric: Fabric): Load {
  const bits = parseCidr(fabric.subnet)?.bits ?? 32;
  return { fabrics: 1, addresses: 2 ** (32 - bits) };
}

/**
 * A new default router MAC: locally administered (IEEE 802-2014 section 8.4),
 * so that no NIC's generated MAC can equal it.
 * @param random [0,1)
 */
export function newRouterMac(random: () => number): string {
  const tail = Math.floor(random() * 2 ** 40);
  return formatMac(mac(0x02 * 2 ** 40 + tail));
}
