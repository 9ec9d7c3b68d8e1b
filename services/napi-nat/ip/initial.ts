// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The address records that a network is born with (facts: triton-napi 3.4):
 * gateway, resolvers and broadcast are reserved, and a placeholder stands on
 * either side of the provision range, as clients of real NAPI see it.
 */

import { type Cidr, contains, lastAddress, parseCidr } from '#lib/net/cidr.js';
import { formatIpv4, type Ipv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import type { BatchRequest } from '#lib/store/types.js';
import type { NetworkRecord } from '../network/record.js';
import { freeIp, type IpRecord, putIp } from './record.js';

/** Owner of a fabric gateway that has no NAT: nobody may claim it. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** The puts that make a new network's records. */
export function initialIps(
  network: NetworkRecord,
  adminUuid: string,
): BatchRequest[] {
  const subnet = parseCidr(network.subnet) as Cidr;
  const records = new Map<string, IpRecord>();
  const add = (record: IpRecord) => {
    if (!records.has(record.ipaddr)) records.set(record.ipaddr, record);
  };
  if (network.gateway) add(gatewayIp(network, network.gateway, adminUuid));
  for (const resolver of network.resolvers) {
    if (contains(subnet, parseIpv4(resolver) as Ipv4)) {
      add(reservedIp(resolver, adminUuid));
    }
  }
  add(reservedIp(formatIpv4(lastAddress(subnet)), adminUuid));
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
  const start = parseIpv4(range.provision_start_ip) as number;
  const end = parseIpv4(range.provision_end_ip) as number;
  return [start - 1, end + 1]
    .filter((ip) => ip >= 0 && ip <= 0xffffffff)
    .map((ip) => formatIpv4(ipv4(ip)));
}
