// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Where a NIC's address is to be: which network, and which address when one
 * was named (facts: triton-napi 5.3). The address itself is chosen by
 * address.ts.
 */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
  type ServiceError,
} from '#lib/errors.js';
import {
  holds,
  type Ip,
  type IpPrefix,
  parseIp,
  parseIpPrefix,
} from '#lib/net/ip.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { isOwner } from '../network/check.js';
import { findGlobalNetwork, findNetwork } from '../network/read.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import { findPool, mayProvision, networksOf } from '../network-pool/pools.js';
import { invalid, refuse } from '../validate/params.js';

/** What of a request says where. */
export interface PlaceInput {
  ip?: string | undefined;
  network_uuid?: string | undefined;
  nic_tag?: string | undefined;
  vlan_id?: number | undefined;
  nic_tags_available?: string[] | undefined;
  cn_uuid?: string | undefined;
  owner_uuid: string;
  belongs_to_type: string;
  check_owner?: boolean | undefined;
}

/** Networks to try in turn; one alone unless they are a pool's. */
export interface Place {
  networks: StoredObject<NetworkRecord>[];
  /** The pool's UUID. */
  pool?: string;
}

/**
 * Where a NIC that is to have an address can have it.
 * @returns null when the NIC is to have none
 * @throws ServiceError 422 naming the field
 */
export async function placeNic(
  ctx: NapiContext,
  input: PlaceInput,
): Promise<Place | null> {
  const { network_uuid: id } = input;
  if (id === undefined && input.ip === undefined) return null;
  const found =
    id === undefined
      ? await networkAround(ctx, input)
      : await findNamed(ctx, id);
  if (found === null) return placeInPool(ctx, id as string, input);
  refuse(mismatches(ctx, input, found.value));
  return { networks: [found] };
}

/**
 * What is wrong with the network that a request names, to be told beside other
 * faults; alone it is `placeNic` that says it.
 */
export async function networkErrors(
  ctx: NapiContext,
  { network_uuid: id }: Pick<PlaceInput, 'network_uuid'>,
): Promise<FieldError[]> {
  if (id === undefined) return [];
  const found = (await findNamed(ctx, id)) ?? (await findPool(ctx, id));
  if (found?.value.family === 'ipv4') return [];
  const message = found === null ? NO_NETWORK : NOT_IPV4;
  return [invalidParameter('network_uuid', message)];
}

function findNamed(
  ctx: NapiContext,
  id: string,
): Promise<StoredObject<NetworkRecord> | null> {
  return id === 'admin' ? findGlobalNetwork(ctx, id) : findNetwork(ctx, id);
}

/** Whether a network has the NIC tag: `tag`, or `tag/vnet`. */
function hasTag(network: NetworkRecord, tag: string): boolean {
  const [name, vnet] = tag.split('/');
  return (
    network.nic_tag === name &&
    (vnet === undefined || network.vnet_id === Number(vnet))
  );
}

/** The networks of a pool that suit the NIC. */
async function placeInPool(
  ctx: NapiContext,
  id: string,
  input: PlaceInput,
): Promise<Place> {
  const pool = (await findPool(ctx, id))?.value;
  if (pool === undefined) throw wrongNetwork(NO_NETWORK);
  if (pool.family !== 'ipv4') throw wrongNetwork(NOT_IPV4);
  if (input.ip !== undefined) {
    const message = 'IP cannot be specified with a network pool';
    throw invalid([invalidParameter('ip', message)]);
  }
  const all = await networksOf(ctx, pool);
  const { nic_tag: tag, nic_tags_available: tags, vlan_id: vlan } = input;
  const mixed = new Set(all.map(({ value }) => value.nic_tag)).size > 1;
  if (mixed && tag === undefined && tags === undefined) {
    const message = `Network pool ${id} has mixed nic_tag values`;
    throw invalid([missingParameter('nic_tags_available', message)]);
  }
  const fitting = all.filter(
    ({ value }) =>
      (tag === undefined || hasTag(value, tag)) &&
      (tags === undefined || tags.includes(value.nic_tag)) &&
      (vlan === undefined || value.vlan_id === vlan),
  );
  if (fitting.length === 0) {
    throw wrongNetwork(
      `No networks in network pool ${id} match provisioning constraints`,
    );
  }
  const { owner_uuid: owner, check_owner: checked } = input;
  const admin = ctx.config.admin_uuid;
  const networks =
    checked === false
      ? fitting
      : fitting.filter(
          ({ value }) =>
            mayProvision(pool, owner, admin) && isOwner(value, owner, admin),
        );
  if (networks.length === 0) throw invalid([strangeOwner()]);
  if (networks.some(({ value }) => value.fabric) && !input.cn_uuid) {
    throw invalid([missingParameter('cn_uuid')]);
  }
  return { networks, pool: id };
}

const NO_NETWORK = 'network does not exist';
const NOT_IPV4 =
  'The network UUID is valid, but its address family must be IPv4';

function wrongNetwork(message: string): ServiceError {
  return invalid([invalidParameter('network_uuid', message)]);
}

function strangeOwner(): FieldError {
  return invalidParameter('owner_uuid', 'network owner_uuids do not match');
}

/** The one network with this NIC tag and VLAN that contains the address. */
async function networkAround(
  ctx: NapiContext,
  input: PlaceInput,
): Promise<StoredObject<NetworkRecord>> {
  const { nic_tag: tag, vlan_id: vlan } = input;
  const ip = input.ip as string;
  if (tag === undefined || vlan === undefined) {
    const message = 'required if IP specified but not network_uuid';
    const missing = [
      ...(tag === undefined ? ['nic_tag'] : []),
      ...(vlan === undefined ? ['vlan_id'] : []),
    ];
    throw invalid(missing.map((field) => missingParameter(field, message)));
  }
  const [name, vnet] = tag.split('/') as [string, string?];
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    and(
      eq('nic_tag', name),
      eq('vlan_id', vlan),
      ...(vnet === undefined ? [] : [eq('vnet_id', vnet)]),
    ),
    { noLimit: true },
  );
  const around = objects.filter(({ value }) => hasAddress(value, ip));
  const [only] = around;
  if (only && around.length === 1) return only;
  const message = only
    ? `Multiple (overlapping) networks (${around
        .map(({ key }) => key)
        .sort()
        .join(', ')}) matching this nic_tag and vlan_id ` +
      `contain the IP address ${ip}`
    : `No networks matching this nic_tag ("${tag}") and vlan_id (${vlan}) ` +
      `contained the IP address ${ip}`;
  throw invalid([invalidParameter('ip', message)]);
}

function hasAddress(network: NetworkRecord, ip: string): boolean {
  const subnet = parseIpPrefix(network.subnet) as IpPrefix;
  return holds(subnet, parseIp(ip) as Ip);
}

function mismatches(
  ctx: NapiContext,
  input: PlaceInput,
  network: NetworkRecord,
): FieldError[] {
  if (network.family !== 'ipv4') {
    return [invalidParameter('network_uuid', NOT_IPV4)];
  }
  const { nic_tag: tag, vlan_id: vlan, ip } = input;
  const errors: FieldError[] = [];
  if (ip !== undefined && !hasAddress(network, ip)) {
    const message =
      `IP address ${ip} is outside the subnet for given ` +
      `network ${network.uuid}`;
    errors.push(invalidParameter('ip', message));
  }
  if (tag !== undefined && !hasTag(network, tag)) {
    const message =
      'The nic_tag of all specified IPv4 and IPv6 networks must match ' +
      `(have "${network.nic_tag}" and "${tag}")`;
    errors.push(invalidParameter('nic_tag', message));
  }
  if (vlan !== undefined && vlan !== network.vlan_id) {
    const message =
      'The vlan_id of all specified IPv4 and IPv6 networks must match ' +
      `(have ${network.vlan_id} and ${vlan})`;
    errors.push(invalidParameter('vlan_id', message));
  }
  const admin = ctx.config.admin_uuid;
  const checked = input.check_owner !== false;
  if (checked && !isOwner(network, input.owner_uuid, admin)) {
    errors.push(strangeOwner());
  }
  if (network.fabric && input.cn_uuid === undefined) {
    errors.push(missingParameter('cn_uuid'));
  }
  return errors;
}
