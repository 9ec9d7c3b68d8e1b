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
} from '#lib/errors.js';
import { type Cidr, contains, parseCidr } from '#lib/net/cidr.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { isOwner } from '../network/check.js';
import { findGlobalNetwork, findNetwork } from '../network/read.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import { invalid, refuse } from '../validate/params.js';

/** What of a request says where. */
export interface PlaceInput {
  ip?: string | undefined;
  network_uuid?: string | undefined;
  nic_tag?: string | undefined;
  vlan_id?: number | undefined;
  cn_uuid?: string | undefined;
  owner_uuid: string;
  belongs_to_type: string;
  check_owner?: boolean | undefined;
}

/**
 * The network of a NIC that is to have an address.
 * @returns null when the NIC is to have none
 * @throws ServiceError 422 naming the field
 */
export async function placeNic(
  ctx: NapiContext,
  input: PlaceInput,
): Promise<StoredObject<NetworkRecord> | null> {
  if (input.network_uuid === undefined && input.ip === undefined) return null;
  const stored =
    input.network_uuid === undefined
      ? await networkAround(ctx, input)
      : await namedNetwork(ctx, input.network_uuid);
  refuse(mismatches(ctx, input, stored.value));
  return stored;
}

async function namedNetwork(
  ctx: NapiContext,
  id: string,
): Promise<StoredObject<NetworkRecord>> {
  const found =
    id === 'admin'
      ? await findGlobalNetwork(ctx, id)
      : await findNetwork(ctx, id);
  if (found) return found;
  const message = 'network does not exist';
  throw invalid([invalidParameter('network_uuid', message)]);
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
  const subnet = parseCidr(network.subnet) as Cidr;
  return contains(subnet, parseIpv4(ip) as Ipv4);
}

function mismatches(
  ctx: NapiContext,
  input: PlaceInput,
  network: NetworkRecord,
): FieldError[] {
  const { nic_tag: tag, vlan_id: vlan, ip } = input;
  const errors: FieldError[] = [];
  if (ip !== undefined && !hasAddress(network, ip)) {
    const message =
      `IP address ${ip} is outside the subnet for given ` +
      `network ${network.uuid}`;
    errors.push(invalidParameter('ip', message));
  }
  const fabricTag = `${network.nic_tag}/${network.vnet_id}`;
  if (tag !== undefined && tag !== network.nic_tag && tag !== fabricTag) {
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
    const message = 'network owner_uuids do not match';
    errors.push(invalidParameter('owner_uuid', message));
  }
  if (network.fabric && input.cn_uuid === undefined) {
    errors.push(missingParameter('cn_uuid'));
  }
  return errors;
}
