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
  covers,
  type Family,
  formatIp,
  holds,
  type Ip,
  type IpPrefix,
  lastIp,
  parseIp,
  parseIpPrefix,
} from '#lib/net/ip.js';
import type { CreateInput } from './input.js';
import type { NetworkRecord } from './record.js';

/** Where customers' networks may be (RFC 1918 section 3, RFC 4193). */
const PRIVATE = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fd00::/8',
].map((text) => parseIpPrefix(text) as IpPrefix);

/** Whether a prefix lies in ranges that everybody may use. */
export function isPrivate(prefix: IpPrefix): boolean {
  return PRIVATE.some((range) => covers(range, prefix));
}

/** Step 1: who a fabric network belongs to. */
export function checkOwners(input: CreateInput): FieldError[] {
  if (input.fabric !== true || input.owner_uuids?.length === 1) return [];
  if (input.owner_uuids === undefined) return [missingParameter('owner_uuids')];
  const message = 'Fabric networks must have exactly one owner';
  return [invalidParameter('owner_uuids', message)];
}

/** A fabric network is in a vnet, and not in the one that probes use. */
export function checkVnet(input: CreateInput, probeVnet: number): FieldError[] {
  if (input.fabric !== true) return [];
  if (input.vnet_id === undefined) return [missingParameter('vnet_id')];
  if (input.vnet_id !== probeVnet) return [];
  return [invalidParameter('vnet_id', 'VNET ID is reserved for probes')];
}

function familyOf(address: string): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** What of a network has addresses. */
export interface Addresses {
  provision_start_ip?: string | undefined;
  provision_end_ip?: string | undefined;
  gateway?: string | null | undefined;
  resolvers?: string[] | undefined;
  routes?: Record<string, string> | undefined;
}

/** Step 2: all addresses are of the subnet's family. */
export function checkFamilies(
  family: Family,
  addresses: Addresses,
): FieldError[] {
  const errors: FieldError[] = [];
  const { gateway, resolvers = [], routes = {} } = addresses;
  const strange = (address: string) => familyOf(address) !== family;
  for (const field of ['provision_start_ip', 'provision_end_ip'] as const) {
    const ip = addresses[field];
    if (ip === undefined || !strange(ip)) continue;
    const message = `${field} and subnet must both be IPv4 or IPv6 addresses`;
    errors.push(invalidParameter(field, message));
  }
  const match = `should match subnet type (${family})`;
  if (gateway && strange(gateway)) {
    errors.push(invalidParameter('gateway', `gateway ${match}`));
  }
  const others = resolvers.filter(strange);
  if (others.length > 0) {
    const extra = { invalid: others };
    errors.push(invalidParameter('resolvers', `resolvers ${match}`, extra));
  }
  // A next hop is of its destination's family: `routes` has seen to that.
  const destinations = Object.keys(routes).filter(strange);
  if (destinations.length > 0) {
    const message = `addresses used for routing ${match}`;
    const extra = { invalid: destinations };
    errors.push(invalidParameter('routes', message, extra));
  }
  return errors;
}

const RANGE = ['subnet', 'provision_start_ip', 'provision_end_ip'] as const;

/**
 * Step 3: the subnet is given, or is to be found.
 * @param enabled whether this instance finds subnets
 */
export function checkAllocation(
  input: CreateInput,
  enabled: boolean,
): FieldError[] {
  if (input.subnet_alloc !== true) {
    const message = 'Auto allocation parameter not allowed';
    return [
      ...(input.subnet_prefix === undefined
        ? []
        : [invalidParameter('subnet_prefix', message)]),
      ...RANGE.filter((field) => input[field] === undefined).map((field) =>
        missingParameter(field),
      ),
    ];
  }
  if (!enabled) {
    const message = 'Subnet allocation is not enabled on this instance';
    return [invalidParameter('subnet_auto_alloc', message)];
  }
  const message = 'Manual allocation parameter not allowed';
  return [
    ...RANGE.filter((field) => input[field] !== undefined).map((field) =>
      invalidParameter(field, message),
    ),
    ...(['family', 'subnet_prefix', 'vnet_id'] as const)
      .filter((field) => input[field] === undefined)
      .map((field) => missingParameter(field)),
  ];
}

/** The range that addresses are given out from, ends included. */
export interface Range {
  subnet: IpPrefix;
  start: string;
  end: string;
  gateway?: string | null | undefined;
}

/** Step 4: the range and the gateway lie in the subnet. */
export function checkRange(range: Range): FieldError[] {
  const { subnet, gateway } = range;
  const errors: FieldError[] = [];
  const ends = {
    provision_start_ip: parseIp(range.start) as Ip,
    provision_end_ip: parseIp(range.end) as Ip,
  };
  const broadcast = hasBroadcast(subnet) ? lastIp(subnet).value : null;
  for (const [field, ip] of Object.entries(ends)) {
    if (!holds(subnet, ip)) {
      errors.push(invalidParameter(field, `${field} cannot be outside subnet`));
    } else if (ip.value === broadcast) {
      const message = `${field} cannot be the broadcast address`;
      errors.push(invalidParameter(field, message));
    }
  }
  if (gateway && !holds(subnet, parseIp(gateway) as Ip)) {
    const message = 'gateway cannot be outside subnet';
    errors.push(invalidParameter('gateway', message));
  }
  if (errors.length > 0) return errors;
  const { provision_start_ip: start, provision_end_ip: end } = ends;
  if (start.value < end.value) return [];
  const message = 'provision_start_ip must be before provision_end_ip';
  return Object.keys(ends).map((field) => invalidParameter(field, message));
}

function hasBroadcast({ base, bits }: IpPrefix): boolean {
  return base.family === 'ipv4' && bits < 32;
}

/** The broadcast address of a subnet; null where it has none. */
export function broadcastOf(subnet: IpPrefix): string | null {
  return hasBroadcast(subnet) ? formatIp(lastIp(subnet)) : null;
}

/** Step 4 for fabrics: only private addresses, of IPv4. */
export function checkFabricSubnet(subnet: IpPrefix): FieldError[] {
  if (!isPrivate(subnet)) {
    const message = 'subnet must be within private ranges';
    return [invalidParameter('subnet', message)];
  }
  if (subnet.base.family === 'ipv4') return [];
  return [invalidParameter('subnet', 'Fabric networks must be IPv4')];
}

/**
 * Step 4: no other network of the same space has one of the addresses.
 * @param others all networks of the space
 */
export function checkOverlap(
  subnet: IpPrefix,
  others: readonly NetworkRecord[],
): FieldError[] {
  return others
    .filter((other) => {
      const its = parseIpPrefix(other.subnet) as IpPrefix;
      return covers(its, subnet) || covers(subnet, its);
    })
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
