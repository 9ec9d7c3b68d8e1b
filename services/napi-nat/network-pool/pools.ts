// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Network pools: networks that a NIC can be provisioned on without saying
 * which (facts: triton-napi 6.2). Pools publish nothing.
 */

import { invalidParameter, notFound } from '#lib/errors.js';
import {
  and,
  eq,
  not,
  or,
  present,
  startsWith,
} from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type StoredObject,
} from '#lib/store/types.js';
import { commit } from '../commit.js';
import type { NapiContext } from '../context.js';
import { findNetwork } from '../network/read.js';
import type { NetworkRecord } from '../network/record.js';
import { duplicate, invalid } from '../validate/params.js';
import type { CreateInput, ListInput, UpdateInput } from './input.js';
import { POOL_BUCKET, type PoolRecord } from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;

const MAX_PAGE = 1000;

/** A pool with its etag; null when there is none. */
export async function findPool(
  ctx: StoreContext,
  uuid: string,
): Promise<StoredObject<PoolRecord> | null> {
  try {
    return await ctx.store.getObject<PoolRecord>(POOL_BUCKET, uuid);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** @throws ServiceError 404 `network pool not found` */
export async function getPool(
  ctx: StoreContext,
  uuid: string,
): Promise<StoredObject<PoolRecord>> {
  const found = await findPool(ctx, uuid);
  if (found === null) throw notFound('network pool not found');
  return found;
}

/** The networks of a pool, in its order. */
export async function networksOf(
  ctx: StoreContext,
  pool: Pick<PoolRecord, 'networks'>,
): Promise<StoredObject<NetworkRecord>[]> {
  const found = await Promise.all(
    pool.networks.map((uuid) => findNetwork(ctx, uuid)),
  );
  return found.filter((network) => network !== null);
}

/** Whether someone may provision on a pool. */
export function mayProvision(
  pool: Pick<PoolRecord, 'owner_uuids'>,
  owner: string,
  adminUuid: string,
): boolean {
  const { owner_uuids: owners } = pool;
  return !owners || owner === adminUuid || owners.includes(owner);
}

/** Pools by UUID. */
export async function listPools(
  ctx: StoreContext,
  input: ListInput,
): Promise<PoolRecord[]> {
  const { uuid, name, family, networks, provisionable_by: by } = input;
  const terms = [eq('v', 1)];
  if (uuid !== undefined) {
    terms.push(
      uuid.endsWith('*')
        ? startsWith('uuid', uuid.slice(0, -1))
        : eq('uuid', uuid),
    );
  }
  if (name !== undefined) terms.push(eq('name', name));
  if (family !== undefined) terms.push(eq('family', family));
  if (networks !== undefined) terms.push(eq('networks', networks));
  if (by !== undefined) {
    terms.push(or(eq('owner_uuids', by), not(present('owner_uuids'))));
  }
  const { objects } = await ctx.store.findObjects<PoolRecord>(
    POOL_BUCKET,
    and(...terms),
    {
      limit: input.limit ?? MAX_PAGE,
      noCount: true,
      offset: input.offset ?? 0,
      sort: { attribute: 'uuid' },
    },
  );
  return objects.map(({ value }) => value);
}

/**
 * The networks that a pool is to have, and what must still hold of them in
 * the batch.
 * @param family of the pool; undefined when it takes its networks'
 * @throws ServiceError 422 when one is unknown, or of another family or owner
 */
async function checkedMembers(
  ctx: NapiContext,
  wanted: Pick<PoolRecord, 'networks' | 'owner_uuids'>,
  family: PoolRecord['family'] | undefined,
): Promise<{ networks: NetworkRecord[]; conditions: BatchRequest[] }> {
  const found = await networksOf(ctx, wanted);
  const known = new Set(found.map(({ key }) => key));
  const unknown = wanted.networks.filter((uuid) => !known.has(uuid));
  if (unknown.length > 0) {
    const message = `unknown network${unknown.length === 1 ? '' : 's'}`;
    const extra = { invalid: unknown };
    throw invalid([invalidParameter('networks', message, extra)]);
  }
  const networks = found.map(({ value }) => value);
  const expected = family ?? networks[0]?.family;
  if (networks.some((network) => network.family !== expected)) {
    const message =
      'address family of all networks in a network pool must match';
    throw invalid([invalidParameter('networks', message)]);
  }
  refuseOwners(networks, wanted.owner_uuids, ctx.config.admin_uuid);
  const conditions = found.map(
    ({ bucket, key, _etag: etag }): BatchRequest => ({
      operation: 'check',
      bucket,
      key,
      options: { etag },
    }),
  );
  return { networks, conditions };
}

function refuseOwners(
  networks: readonly NetworkRecord[],
  owners: string[] | undefined,
  adminUuid: string,
): void {
  if (owners === undefined) return;
  const all = [...owners, adminUuid];
  const strangers = networks
    .filter(({ owner_uuids: theirs = [] }) => theirs.length > 0)
    .filter(({ owner_uuids: theirs = [] }) =>
      theirs.every((owner) => !all.includes(owner)),
    );
  if (strangers.length === 0) return;
  const message =
    'network owner_uuids do not match the owner_uuids of the pool';
  const extra = { invalid: strangers.map(({ uuid }) => uuid) };
  throw invalid([invalidParameter('networks', message, extra)]);
}

/** A pool, and its networks' NIC tags for showing it. */
export interface PoolAt {
  pool: PoolRecord;
  tags: string[];
}

async function put(ctx: NapiContext, pool: PoolRecord, etag: string | null) {
  // A pool keeps the family that it was made with.
  const family = etag === null ? undefined : pool.family;
  const { networks, conditions } = await checkedMembers(ctx, pool, family);
  const request: BatchRequest = {
    bucket: POOL_BUCKET,
    key: pool.uuid,
    value: { ...pool, family: networks[0]?.family ?? pool.family },
    options: { etag },
  };
  const tags = networks.map(({ nic_tag: tag }) => tag);
  return {
    changes: { requests: [...conditions, request], events: [] },
    result: { pool: request.value as PoolRecord, tags },
  };
}

/** @throws ServiceError 422 naming the field */
export async function createPool(
  ctx: NapiContext,
  input: CreateInput,
): Promise<PoolAt> {
  const { description, owner_uuids: owners = [] } = input;
  const pool: PoolRecord = {
    uuid: input.uuid ?? ctx.uuid(),
    name: input.name,
    family: 'ipv4',
    networks: input.networks,
    ...(description && { description }),
    ...(owners.length > 0 && { owner_uuids: owners }),
    v: 1,
  };
  return commit(ctx, async () => {
    if (await findPool(ctx, pool.uuid)) throw invalid([duplicate('uuid')]);
    return put(ctx, pool, null);
  });
}

/**
 * @param find the pool as it is now; throws 404, or 412 on a failed If-Match
 * @throws ServiceError 422 naming the field
 */
export async function updatePool(
  ctx: NapiContext,
  find: () => Promise<StoredObject<PoolRecord>>,
  input: UpdateInput,
): Promise<PoolAt> {
  return commit(ctx, async () => {
    const stored = await find();
    const pool: PoolRecord = { ...stored.value, ...input };
    if (pool.description === '') delete pool.description;
    if (pool.owner_uuids?.length === 0) delete pool.owner_uuids;
    return put(ctx, pool, stored._etag);
  });
}

/** @param find as for `updatePool` */
export async function removePool(
  ctx: NapiContext,
  find: () => Promise<StoredObject<PoolRecord>>,
): Promise<void> {
  await commit(ctx, async () => {
    const { bucket, key, _etag: etag } = await find();
    const requests: BatchRequest[] = [
      { operation: 'delete', bucket, key, options: { etag } },
    ];
    return { changes: { requests, events: [] }, result: undefined };
  });
}
