// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Listing addresses and changing one (facts: triton-napi 6.1). */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
} from '#lib/errors.js';
import { and, eq } from '#lib/store/filter-text.js';
import { commit } from '../commit.js';
import type { NapiContext } from '../context.js';
import { isOwner } from '../network/check.js';
import type { NetworkRecord } from '../network/record.js';
import { refuse } from '../validate/params.js';
import type { ListInput, UpdateInput } from './input.js';
import { findIp } from './read.js';
import { freeIp, type IpRecord, ipBucket, putIp } from './record.js';

const MAX_PAGE = 1000;

/** The recorded addresses of a network, lowest first. */
export async function listIps(
  ctx: Pick<NapiContext, 'store'>,
  networkUuid: string,
  input: ListInput,
): Promise<IpRecord[]> {
  const terms = (
    ['belongs_to_type', 'belongs_to_uuid', 'owner_uuid'] as const
  ).flatMap((field) => {
    const value = input[field];
    return value === undefined ? [] : [eq(field, value)];
  });
  const { objects } = await ctx.store.findObjects<IpRecord>(
    ipBucket(networkUuid),
    and('(ipaddr=*)', ...terms),
    {
      limit: input.limit ?? MAX_PAGE,
      noCount: true,
      offset: input.offset ?? 0,
      sort: { attribute: 'ipaddr' },
    },
  );
  return objects.map(({ value }) => value);
}

function faults(
  ctx: NapiContext,
  network: NetworkRecord,
  record: IpRecord,
  input: UpdateInput,
): FieldError[] {
  const { owner_uuid: owner, check_owner: checked } = input;
  const admin = ctx.config.admin_uuid;
  if (owner && checked !== false && !isOwner(network, owner, admin)) {
    const message = 'network owner_uuids do not match';
    return [invalidParameter('owner_uuid', message)];
  }
  if (!input.belongs_to_type && !input.belongs_to_uuid) return [];
  const after = { ...record, ...input };
  return (['belongs_to_type', 'belongs_to_uuid', 'owner_uuid'] as const)
    .filter((field) => after[field] === undefined)
    .map((field) => missingParameter(field));
}

function changed(record: IpRecord, input: UpdateInput): IpRecord {
  if (input.unassign === true) {
    const { belongs_to_type: _type, belongs_to_uuid: _uuid, ...rest } = record;
    return rest;
  }
  const { check_owner: _check, unassign: _un, free: _free, ...fields } = input;
  return { ...record, ...fields };
}

/**
 * Changes an address, making its record when there is none.
 * @param check may refuse by the record's etag; "" when there is none
 */
export async function updateIp(
  ctx: NapiContext,
  network: NetworkRecord,
  ip: string,
  input: UpdateInput,
  check: (etag: string) => void,
): Promise<IpRecord> {
  if (input.free === true && input.unassign === true) {
    const message = 'free and unassign cannot both be set to "true"';
    refuse([invalidParameter('unassign', message)]);
  }
  return commit(ctx, async () => {
    const stored = await findIp(ctx, network.uuid, ip);
    check(stored?._etag ?? '');
    const before = stored?.value ?? freeIp(ip);
    const overwritten = input.free === true || input.unassign === true;
    if (!overwritten) refuse(faults(ctx, network, before, input));
    const record = input.free === true ? freeIp(ip) : changed(before, input);
    const put = putIp(network.uuid, record, stored?._etag ?? null);
    return { changes: { requests: [put], events: [] }, result: record };
  });
}
