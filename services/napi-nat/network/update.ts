// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Changing a network (facts: triton-napi 3.5), on the condition that it is
 * still as it was read: of two changes, none is lost.
 */

import { type FieldError, invalidParameter } from '#lib/errors.js';
import { formatIpPrefix, type IpPrefix, parseIpPrefix } from '#lib/net/ip.js';
import { eq } from '#lib/store/filter-text.js';
import type { BatchRequest, StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge, noChanges } from '../commit.js';
import type { NapiContext } from '../context.js';
import { placeholders, reservedIp } from '../ip/initial.js';
import { findIp } from '../ip/read.js';
import { freeIp, ipBucket, isFree, putIp } from '../ip/record.js';
import { beginConversion } from '../nat-reform/convert/begin.js';
import { findNicTag } from '../nic-tag/tags.js';
import { duplicate, invalid, refuse } from '../validate/params.js';
import { checkFamilies, checkMtu, checkRange } from './check.js';
import { assigned, noSuchTag } from './create.js';
import { networkEvent } from './event.js';
import { type ChangeInput, FIXED_FIELDS, type UpdateInput } from './input.js';
import {
  NETWORK_BUCKET,
  type NetworkRecord,
  nameKey,
  serializeNetwork,
} from './record.js';

const NOT_SUPPORTED = 'Network updates for this field are not supported';

/** Fields that were sent and may not be changed. */
export function checkFixed(
  input: UpdateInput,
  network: NetworkRecord,
): FieldError[] {
  const shown = serializeNetwork(network);
  const sent = {
    ...input,
    subnet: input.subnet && formatIpPrefix(input.subnet),
  };
  const errors: FieldError[] = FIXED_FIELDS.filter(
    (field) =>
      sent[field] !== undefined &&
      // NAPI refuses this one even when it says what is so.
      (field === 'internet_nat' || sent[field] !== (shown[field] ?? false)),
  ).map((field) => invalidParameter(field, NOT_SUPPORTED));
  if (network.fabric) {
    for (const field of ['gateway', 'owner_uuids'] as const) {
      if (input[field] === undefined) continue;
      errors.push(invalidParameter(field, `${NOT_SUPPORTED} on fabrics`));
    }
  }
  return [...errors, ...checkNatReform(input, network)];
}

/** `""` asks for NAT Reform; an address can only be repeated. */
function checkNatReform(
  { nat_reform_public: wanted }: UpdateInput,
  network: NetworkRecord,
): FieldError[] {
  if (wanted === undefined || wanted === network.nat_reform_public) return [];
  const field = 'nat_reform_public';
  if (wanted !== '') {
    const message = 'is chosen by NAPI; only "" can be asked for';
    return [invalidParameter(field, message)];
  }
  if (network.fabric && network.gateway) return [];
  const message = 'only a fabric network with a gateway can use NAT Reform';
  return [invalidParameter(field, message)];
}

/** What of a request is to change something. */
function without(input: UpdateInput, fixed: readonly string[]): ChangeInput {
  return Object.fromEntries(
    Object.entries(input).filter(([field]) => !fixed.includes(field)),
  );
}

function changed(before: NetworkRecord, input: ChangeInput): NetworkRecord {
  const { description, owner_uuids: owners, routes, ...rest } = input;
  const { nat_reform_public: _asked, ...plain } = rest;
  const after: NetworkRecord = { ...before, ...plain };
  if (description !== undefined) after.description = description;
  if (after.description === '') delete after.description;
  if (owners !== undefined) after.owner_uuids = owners;
  if (after.owner_uuids?.length === 0) delete after.owner_uuids;
  if (routes !== undefined) after.routes = routes;
  if (Object.keys(after.routes ?? {}).length === 0) delete after.routes;
  const owner = before.fabric ? before.owner_uuids?.[0] : undefined;
  after.name_str = nameKey(after.name, owner);
  if (after.gateway && after.gateway_provisioned === undefined) {
    after.gateway_provisioned = false;
  }
  return after;
}

/** @returns what must still hold in the batch */
async function refuseWrong(
  ctx: NapiContext,
  before: NetworkRecord,
  after: NetworkRecord,
): Promise<BatchRequest[]> {
  refuse(checkFamilies(after.family, after));
  refuse(
    checkRange({
      subnet: parseIpPrefix(after.subnet) as IpPrefix,
      start: after.provision_start_ip,
      end: after.provision_end_ip,
      gateway: after.gateway,
    }),
  );
  await refuseNameTaken(ctx, before, after);
  if (after.mtu === before.mtu) return [];
  const tag = await findNicTag(ctx, after.nic_tag);
  if (tag === null) throw invalid([noSuchTag()]);
  refuse(checkMtu(after.mtu, tag.value.mtu));
  const { bucket, key, _etag: etag } = tag;
  return [{ operation: 'check', bucket, key, options: { etag } }];
}

async function refuseNameTaken(
  ctx: NapiContext,
  before: NetworkRecord,
  after: NetworkRecord,
): Promise<void> {
  if (after.name_str === before.name_str) return;
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    eq('name_str', after.name_str),
  );
  if (objects.length > 0) {
    throw invalid([duplicate('name')], 'name is in use by another network');
  }
}

/** The address records that follow: the new gateway's, the placeholders'. */
async function addressWrites(
  ctx: NapiContext,
  before: NetworkRecord,
  after: NetworkRecord,
): Promise<BatchRequest[]> {
  const requests: BatchRequest[] = [];
  const { uuid, gateway } = after;
  if (gateway && gateway !== before.gateway) {
    const stored = await findIp(ctx, uuid, gateway);
    const record = reservedIp(gateway, ctx.config.admin_uuid);
    const kept = stored?.value.belongs_to_uuid !== undefined;
    const value = kept ? { ...stored.value, reserved: true } : record;
    requests.push(putIp(uuid, value, stored?._etag ?? null));
  }
  const old = placeholders(before);
  const now = placeholders(after);
  for (const ip of old.filter((each) => !now.includes(each))) {
    const stored = await findIp(ctx, uuid, ip);
    if (stored === null || !isFree(stored.value) || ip === gateway) continue;
    requests.push({
      operation: 'delete',
      bucket: ipBucket(uuid),
      key: ip,
      options: { etag: stored._etag },
    });
  }
  for (const ip of now.filter((each) => !old.includes(each))) {
    if (ip === gateway || (await findIp(ctx, uuid, ip))) continue;
    requests.push(putIp(uuid, freeIp(ip), null));
  }
  return requests;
}

/** What was sent, of what listeners hear. */
function heard(input: UpdateInput, joined: boolean): string[] {
  const sent = (['gateway', 'resolvers', 'routes'] as const).filter(
    (field) => input[field] !== undefined,
  );
  return joined ? [...sent, 'nat_reform_public'] : sent;
}

/**
 * Changes a network.
 * @param find the network as it is now; throws when it may not be changed,
 *   such as on a failed If-Match
 */
export async function updateNetwork(
  ctx: NapiContext,
  find: () => Promise<StoredObject<NetworkRecord>>,
  input: UpdateInput,
): Promise<NetworkRecord> {
  const change = without(input, FIXED_FIELDS);
  const build = async () => {
    const stored = await find();
    const before = stored.value;
    refuse(checkFixed(input, before));
    const after = changed(before, change);
    const conditions = await refuseWrong(ctx, before, after);
    const asked = input.nat_reform_public === '' && !before.nat_reform_public;
    // One with a NAT zone of its own has traffic: a job sees it over.
    const legacy = asked && before.gateway_provisioned === true;
    const joins = asked && !legacy;
    const { network, changes } = joins
      ? await assigned(ctx, after)
      : legacy
        ? beginConversion(ctx, after)
        : { network: after, changes: noChanges() };
    const parts = heard(input, joins);
    const own: Changes = {
      requests: [
        ...conditions,
        {
          bucket: NETWORK_BUCKET,
          key: network.uuid,
          value: network,
          options: { etag: stored._etag },
        },
        ...(await addressWrites(ctx, before, network)),
      ],
      events: parts.length > 0 ? [networkEvent(network, parts)] : [],
    };
    return { changes: merge(own, changes), result: network };
  };
  if (input.nat_reform_public === undefined) return commit(ctx, build);
  return ctx.placing.run(() => commit(ctx, build));
}
