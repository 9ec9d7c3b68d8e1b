// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What must hold between the fields of a network (facts: triton-napi 3.4):
 * pure predicates in NAPI's order. Each gives the errors of one step; the
 * first step that has any ends the request.
 */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
} from '#lib/errors.js';
import {
  type Cidr,
  contains,
  lastAddress,
  overlaps,
  parseCidr,
} from '#lib/net/cidr.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import type { CreateInput } from './input.js';
import type { NetworkRecord } from './record.js';

/** Where customers' networks may be (RFC 1918 section 3). */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map(
  (text) => parseCidr(text) as Cidr,
);

function inside(range: Cidr, cidr: Cidr): boolean {
  return range.bits <= cidr.bits && contains(range, cidr.base);
}

/** Whether a prefix lies in RFC 1918's ranges. */
export function isPrivate(cidr: Cidr): boolean {
  return PRIVATE.some((range) => inside(range, cidr));
}

/** Step 1: who a fabric network belongs to. */
export function checkOwners(input: CreateInput): FieldError[] {
  if (input.fabric !== true || input.owner_uuids?.length === 1) return [];
  const message = 'Fabric networks must have exactly one owner';
  return [
    input.owner_uuids === undefined
      ? missingParameter('owner_uuids', message)
      : invalidParameter('owner_uuids', message),
  ];
}

/** A fabric network is in a vnet, and not in the one that probes use. */
export function checkVnet(input: CreateInput, probeVnet: number): FieldError[] {
  if (input.fabric !== true) return [];
  if (input.vnet_id === undefined) return [missingParameter('vnet_id')];
  if (input.vnet_id !== probeVnet) return [];
  return [invalidParameter('vnet_id', 'VNET ID is reserved for probes')];
}

/** Step 3: the subnet is given; finding one automatically is not offered. */
export function checkAllocation(input: CreateInput): FieldError[] {
  if (input.subnet_alloc === true) {
    const message = 'Subnet allocation is not enabled on this instance';
    return [invalidParameter('subnet_auto_alloc', message)];
  }
  const errors: FieldError[] = [];
  if (input.subnet_prefix !== undefined) {
    const message = 'Auto allocation parameter not allowed';
    errors.push(invalidParameter('subnet_prefix', message));
  }
  for (const field of [
    'subnet',
    'provision_start_ip',
    'provision_end_ip',
  ] as const) {
    if (input[field] === undefined) errors.push(missingParameter(field));
  }
  return errors;
}

/** The range that addresses are given out from, ends included. */
export interface Range {
  subnet: Cidr;
  start: string;
  end: string;
  gateway?: string | null | undefined;
}

/** Step 4: the range and the gateway lie in the subnet. */
export function checkRange(range: Range): FieldError[] {
  const { subnet, gateway } = range;
  const errors: FieldError[] = [];
  const ends = {
    provision_start_ip: parseIpv4(range.start) as Ipv4,
    provision_end_ip: parseIpv4(range.end) as Ipv4,
  };
  for (const [field, ip] of Object.entries(ends)) {
    if (!contains(subnet, ip)) {
      errors.push(invalidParameter(field, `${field} cannot be outside subnet`));
    } else if (ip === lastAddress(subnet) && subnet.bits < 32) {
      const message = `${field} cannot be the broadcast address`;
      errors.push(invalidParameter(field, message));
    }
  }
  if (gateway && !contains(subnet, parseIpv4(gateway) as Ipv4)) {
    const message = 'gateway cannot be outside subnet';
    errors.push(invalidParameter('gateway', message));
  }
  if (errors.length > 0) return errors;
  if (ends.provision_start_ip < ends.provision_end_ip) return [];
  const message = 'provision_start_ip must be before provision_end_ip';
  return Object.keys(ends).map((field) => invalidParameter(field, message));
}

/** Step 4 for fabrics: only private addresses. */
export function checkFabricSubnet(subnet: Cidr): FieldError[] {
  if (isPrivate(subnet)) return [];
  const message = 'subnet must be within private ranges';
  return [invalidParameter('subnet', message)];
}

/**
 * Step 4: no other network of the same space has one of the addresses.
 * @param others all networks of the space
 */
export function checkOverlap(
  subnet: Cidr,
  others: readonly NetworkRecord[],
): FieldError[] {
  return others
    .filter((other) => overlaps(subnet, parseCidr(other.subnet) as Cidr))
    .map(({ uuid }) => uuid)
    .sort()
    .map((id) => ({
      field: 'subnet',
      type: 'network',
      id,
      code: 'UsedBy',
      message: 'subnet overlaps with another network',
    }));
}

/** Step 5: the network's packets fit its NIC tag. */
export function checkMtu(mtu: number, tagMtu: number): FieldError[] {
  if (mtu <= tagMtu) return [];
  const message = 'network mtu must be under nic_tag mtu';
  return [invalidParameter('mtu', message)];
}

/** Whether someone may use a network: it is nobody's, theirs, or admin's. */
export function isOwner(
  network: Pick<NetworkRecord, 'owner_uuids'>,
  owner: string,
  adminUuid: string,
): boolean {
  const owners = network.owner_uuids ?? [];
  return owners.length === 0 || owner === adminUuid || owners.includes(owner);
}
