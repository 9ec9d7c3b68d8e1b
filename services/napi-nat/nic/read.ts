// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reading NICs, alone and with what they show of their networks. */

import { notFound } from '#lib/errors.js';
import type { Mac } from '#lib/net/mac.js';
import { and, eq, not, or } from '#lib/store/filter-text.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { readNetwork } from '../network/read.js';
import type { NetworkRecord } from '../network/record.js';
import type { ListInput } from './input.js';
import { NIC_BUCKET, type NicRecord, nicKey, serializeNic } from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;

const MAX_PAGE = 1000;

/** A NIC with its etag; null when there is none. */
export async function findNic(
  ctx: StoreContext,
  mac: Mac,
): Promise<StoredObject<NicRecord> | null> {
  try {
    return await ctx.store.getObject<NicRecord>(NIC_BUCKET, nicKey(mac));
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** @throws ServiceError 404 `nic not found` */
export async function getNic(
  ctx: StoreContext,
  mac: Mac,
): Promise<StoredObject<NicRecord>> {
  const found = await findNic(ctx, mac);
  if (found === null) throw notFound('nic not found');
  return found;
}

/** A NIC as clients see it. */
export async function showNic(
  ctx: StoreContext,
  nic: NicRecord,
): Promise<Record<string, unknown>> {
  const { network_uuid: uuid } = nic;
  const network = uuid === undefined ? null : await readNetwork(ctx, uuid);
  return serializeNic(nic, network);
}

/** A list is any of its items; an item that starts with `!` is none of it. */
function listFilter(field: string, items: string[]): string {
  return or(
    ...items.map((item) =>
      item.startsWith('!') ? not(eq(field, item.slice(1))) : eq(field, item),
    ),
  );
}

function filterOf(input: ListInput): string {
  const { limit: _limit, offset: _offset, ...terms } = input;
  const filters = Object.entries(terms).map(([field, value]) => {
    if (typeof value === 'boolean') {
      return value ? eq(field, true) : not(eq(field, true));
    }
    return Array.isArray(value)
      ? listFilter(field, value)
      : eq(field, value as string);
  });
  return and(eq('v', 3), ...filters);
}

/** NICs by MAC, as clients see them. */
export async function listNics(
  ctx: StoreContext,
  input: ListInput,
): Promise<Record<string, unknown>[]> {
  const { objects } = await ctx.store.findObjects<NicRecord>(
    NIC_BUCKET,
    filterOf(input),
    {
      limit: input.limit ?? MAX_PAGE,
      noCount: true,
      offset: input.offset ?? 0,
      sort: { attribute: 'mac' },
    },
  );
  const nics = objects.map(({ value }) => value);
  const uuids = new Set(nics.flatMap((nic) => nic.network_uuid ?? []));
  const networks = new Map<string, NetworkRecord | null>();
  for (const uuid of uuids) networks.set(uuid, await readNetwork(ctx, uuid));
  return nics.map((nic) =>
    serializeNic(nic, networks.get(nic.network_uuid ?? '') ?? null),
  );
}
