// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The address records that a network is born with (facts: triton-napi 3.4):
 * gateway, resolvers and broadcast are reserved, and a placeholder stands on
 * either side of the provision range, as clients of real NAPI see it.
 */

import {
  formatIp,
  holds,
  type Ip,
  type IpPrefix,
  parseIp,
  parseIpPrefix,
  stepped,
} from '#lib/net/ip.js';
import type { BatchRequest } from '#lib/store/types.js';
import { broadcastOf } from '../network/check.js';
import type { NetworkRecord } from '../network/record.js';
import { freeIp, type IpRecord, putIp } from './record.js';

/** Owner of a fabric gateway that has no NAT: nobody may claim it. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** The puts that make a new network's records. */
export function initialIps(
  network: NetworkRecord,
  adminUuid: string,
): BatchRequest[] {
  const subnet = parseIpPrefix(network.subnet) as IpPrefix;
  const records = new Map<string, IpRecord>();
  const add = (record: IpRecord) => {
    if (!records.has(record.ipaddr)) records.set(record.ipaddr, record);
  };
  if (network.gateway) add(gatewayIp(network, network.gateway, adminUuid));
  for (const resolver of network.resolvers) {
    if (holds(subnet, parseIp(resolver) as Ip)) {
      add(reservedIp(resolver, adminUuid));
    }
  }
  const broadcast = broadcastOf(subnet);
  if (broadcast !== null) add(reservedIp(broadcast, adminUuid));
  for (const ip of placeholders(network)) add(freeIp(ip));
  return [...records.values()].map((record) =>
    putIp(network.uuid, record, null),
  );
}

/** A reserved address of the operator's. */
export function reservedIp(ipaddr: string, adminUuid: string): IpRecord {
  return {
    ipaddr,
    reserved: true,
    belongs_to_type: 'other',
    belongs_to_uuid: adminUuid,
    owner_uuid: adminUuid,
    v: 2,
  };
}

function gatewayIp(
  network: NetworkRecord,
  ipaddr: string,
  adminUuid: string,
): IpRecord {
  const record = reservedIp(ipaddr, adminUuid);
  const owner = network.owner_uuids?.[0];
  if (!network.fabric || network.internet_nat || owner === undefined) {
    return record;
  }
  return { ...record, belongs_to_uuid: NOBODY, owner_uuid: owner };
}

/** The addresses just before and just after the provision range. */
export function placeholders(
  range: Pick<NetworkRecord, 'provision_start_ip' | 'provision_end_ip'>,
): string[] {
  return [
    stepped(parseIp(range.provision_start_ip) as Ip, -1),
    stepped(parseIp(range.provision_end_ip) as Ip, 1),
  ].flatMap((ip) => (ip === null ? [] : [formatIp(ip)]));
}
