// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Aggregations: find, list, create, change, remove (facts: triton-napi 6.4).
 * One keeps the server that its first NICs had.
 */

import { invalidParameter, notFound } from '#lib/errors.js';
import { formatMac, type Mac, mac as toMac } from '#lib/net/mac.js';
import { and, eq, or } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type StoredObject,
} from '#lib/store/types.js';
import { commit } from '../commit.js';
import type { NapiContext } from '../context.js';
import { findNic } from '../nic/read.js';
import { duplicate, invalid } from '../validate/params.js';
import type { CreateInput, ListInput, UpdateInput } from './input.js';
import {
  AGGREGATION_BUCKET,
  type AggregationRecord,
  aggregationEvent,
} from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;
type Stored = StoredObject<AggregationRecord>;

const MAX_PAGE = 1000;
const ONE_SERVER = 'belongs_to_uuid must match for all nics in the aggregation';

async function findAggregation(
  ctx: StoreContext,
  id: string,
): Promise<Stored | null> {
  try {
    return await ctx.store.getObject<AggregationRecord>(AGGREGATION_BUCKET, id);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** @throws ServiceError 404 `aggregation not found` */
export async function getAggregation(
  ctx: StoreContext,
  id: string,
): Promise<Stored> {
  const found = await findAggregation(ctx, id);
  if (found === null) throw notFound('aggregation not found');
  return found;
}

/** Aggregations by id. */
export async function listAggregations(
  ctx: StoreContext,
  input: ListInput,
): Promise<AggregationRecord[]> {
  const { belongs_to_uuid: server, macs, nic_tags_provided: tags } = input;
  const terms = ['(id=*)'];
  if (server !== undefined) terms.push(eq('belongs_to_uuid', server));
  if (macs?.length) terms.push(or(...macs.map((mac) => eq('macs', mac))));
  if (tags?.length) {
    terms.push(or(...tags.map((tag) => eq('nic_tags_provided', tag))));
  }
  const { objects } = await ctx.store.findObjects<AggregationRecord>(
    AGGREGATION_BUCKET,
    and(...terms),
    {
      limit: input.limit ?? MAX_PAGE,
      noCount: true,
      offset: input.offset ?? 0,
      sort: { attribute: 'id' },
    },
  );
  return objects.map(({ value }) => value);
}

/**
 * The server that all the NICs belong to, and what must still hold of them in
 * the batch.
 * @throws ServiceError 422 about `macs`
 */
async function serverOf(
  ctx: StoreContext,
  macs: readonly Mac[],
): Promise<{ server: string; conditions: BatchRequest[] }> {
  const found = await Promise.all(macs.map((mac) => findNic(ctx, mac)));
  const wrong = (message: string, those?: readonly number[]) => {
    const names = those?.map((mac) => formatMac(toMac(mac))).sort();
    const extra = names ? { invalid: names } : {};
    return invalid([invalidParameter('macs', message, extra)]);
  };
  const unknown = macs.filter((_mac, i) => found[i] === null);
  if (unknown.length > 0) throw wrong('unknown MAC addresses', unknown);
  const nics = found.filter((nic) => nic !== null);
  const server = nics[0]?.value.belongs_to_uuid ?? '';
  if (nics.some(({ value }) => value.belongs_to_uuid !== server)) {
    throw wrong(ONE_SERVER);
  }
  const others = nics.filter(({ value }) => value.belongs_to_type !== 'server');
  if (others.length > 0) {
    const message = 'all nics must have belongs_to_uuid of type server';
    throw wrong(
      message,
      others.map(({ value }) => value.mac),
    );
  }
  const conditions = nics.map(
    ({ bucket, key, _etag: etag }): BatchRequest => ({
      operation: 'check',
      bucket,
      key,
      options: { etag },
    }),
  );
  return { server, conditions };
}

function put(record: AggregationRecord, etag: string | null): BatchRequest {
  const { id: key } = record;
  return { bucket: AGGREGATION_BUCKET, key, value: record, options: { etag } };
}

/** @throws ServiceError 422 naming the field */
export async function createAggregation(
  ctx: NapiContext,
  input: CreateInput,
): Promise<AggregationRecord> {
  return commit(ctx, async () => {
    const { server, conditions } = await serverOf(ctx, input.macs);
    const { name, macs, nic_tags_provided: tags = [] } = input;
    const record: AggregationRecord = {
      id: `${server}-${name}`,
      belongs_to_uuid: server,
      name,
      lacp_mode: input.lacp_mode ?? 'off',
      macs,
      ...(tags.length > 0 && { nic_tags_provided: tags }),
    };
    if (await findAggregation(ctx, record.id)) {
      const message =
        'aggregation with same belongs_to_uuid and name already exists';
      throw invalid([duplicate('name', message)]);
    }
    const changes = {
      requests: [...conditions, put(record, null)],
      events: [aggregationEvent(record, 'create')],
    };
    return { changes, result: record };
  });
}

/**
 * @param find the aggregation as it is now; throws 404, or 412 on a failed
 *   If-Match
 * @throws ServiceError 422 naming the field
 */
export async function updateAggregation(
  ctx: NapiContext,
  find: () => Promise<Stored>,
  input: UpdateInput,
): Promise<AggregationRecord> {
  return commit(ctx, async () => {
    const stored = await find();
    const { server, conditions } = input.macs
      ? await serverOf(ctx, input.macs)
      : { server: stored.value.belongs_to_uuid, conditions: [] };
    if (server !== stored.value.belongs_to_uuid) {
      throw invalid([invalidParameter('macs', ONE_SERVER)]);
    }
    const record: AggregationRecord = { ...stored.value, ...input };
    if (record.nic_tags_provided?.length === 0) {
      delete record.nic_tags_provided;
    }
    const heard = input.lacp_mode !== undefined;
    const changes = {
      requests: [...conditions, put(record, stored._etag)],
      events: heard ? [aggregationEvent(record, 'lacp_mode')] : [],
    };
    return { changes, result: record };
  });
}

/** @param find as for `updateAggregation` */
export async function removeAggregation(
  ctx: NapiContext,
  find: () => Promise<Stored>,
): Promise<void> {
  await commit(ctx, async () => {
    const { bucket, key, value, _etag: etag } = await find();
    const requests: BatchRequest[] = [
      { operation: 'delete', bucket, key, options: { etag } },
    ];
    const events = [aggregationEvent(value, 'delete')];
    return { changes: { requests, events }, result: undefined };
  });
}
