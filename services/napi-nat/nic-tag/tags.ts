// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** NIC tags: find, list, create, change, remove (facts: triton-napi 6.3). */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
  notFound,
} from '#lib/errors.js';
import { eq } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type StoredObject,
} from '#lib/store/types.js';
import { commit } from '../commit.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import { duplicate, invalid, usedBy } from '../validate/params.js';
import { DEFAULT_MTU, NIC_TAG_BUCKET, type NicTagRecord } from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;

/** A tag by its name; null when there is none. */
export async function findNicTag(
  ctx: StoreContext,
  name: string,
): Promise<StoredObject<NicTagRecord> | null> {
  try {
    return await ctx.store.getObject<NicTagRecord>(NIC_TAG_BUCKET, name);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** @throws ServiceError 404 `nic tag not found` */
export async function getNicTag(
  ctx: StoreContext,
  name: string,
): Promise<StoredObject<NicTagRecord>> {
  const found = await findNicTag(ctx, name);
  if (found === null) throw notFound('nic tag not found');
  return found;
}

/** Tags by name. */
export async function listNicTags(
  ctx: StoreContext,
  page: { limit: number; offset: number },
): Promise<NicTagRecord[]> {
  const { objects } = await ctx.store.findObjects<NicTagRecord>(
    NIC_TAG_BUCKET,
    '(name=*)',
    { ...page, sort: { attribute: 'name' } },
  );
  return objects.map(({ value }) => value);
}

export interface NicTagInput {
  name: string;
  uuid?: string;
  mtu?: number;
}

/** @throws ServiceError 422 when the name or UUID is taken */
export async function createNicTag(
  ctx: NapiContext,
  input: NicTagInput,
): Promise<NicTagRecord> {
  const { name, mtu = DEFAULT_MTU } = input;
  if (name === 'admin' && mtu !== DEFAULT_MTU) {
    throw invalid([invalidParameter('mtu', 'admin nic tag mtu must be 1500')]);
  }
  const record: NicTagRecord = {
    name,
    uuid: input.uuid ?? ctx.uuid(),
    mtu,
    v: 1,
  };
  return commit(ctx, async (_attempt, last) => {
    if (await findNicTag(ctx, name)) throw invalid([duplicate('name')]);
    if (last?.name === 'UniqueAttributeError') {
      throw invalid([duplicate('uuid')]);
    }
    const changes = {
      requests: [putTag(record, null)],
      events: [
        {
          resource: 'nic_tag',
          subResources: ['create'],
          id: name,
          object: record,
          extra: { etag: etagOfRecord(record) },
        },
      ],
    };
    return { changes, result: record };
  });
}

function putTag(record: NicTagRecord, etag: string | null) {
  return {
    bucket: NIC_TAG_BUCKET,
    key: record.name,
    value: record,
    options: { etag },
  };
}

async function networksOn(
  ctx: StoreContext,
  tag: string,
): Promise<NetworkRecord[]> {
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    eq('nic_tag', tag),
    { limit: 1000 },
  );
  return objects.map(({ value }) => value).sort(byUuid);
}

function byUuid(a: NetworkRecord, b: NetworkRecord): number {
  return a.uuid < b.uuid ? -1 : 1;
}

/** @returns what must still hold in the batch: that no network has the tag */
async function refuseInUse(
  ctx: StoreContext,
  tag: string,
): Promise<BatchRequest> {
  const users = await networksOn(ctx, tag);
  if (users.length > 0) {
    throw invalid(
      users.map(({ uuid }) => usedBy('nic_tag', { type: 'network', id: uuid })),
    );
  }
  const filter = eq('nic_tag', tag);
  return { operation: 'absent', bucket: NETWORK_BUCKET, filter };
}

async function refuseLowMtu(
  ctx: StoreContext,
  tag: string,
  mtu: number,
): Promise<void> {
  const above = (await networksOn(ctx, tag)).filter((net) => net.mtu > mtu);
  if (above.length === 0) return;
  const message = 'nic_tag mtu must be greater than its networks';
  throw invalid(
    above.map(({ uuid }) => invalidParameter('mtu', message, { uuid })),
  );
}

/**
 * Renames a tag or changes its MTU; publishes nothing, as NAPI.
 * @throws ServiceError 404; 422 when the tag may not be changed so
 */
export async function updateNicTag(
  ctx: NapiContext,
  oldName: string,
  input: { name?: string; mtu?: number },
): Promise<NicTagRecord> {
  return commit(ctx, async () => {
    // In NAPI's order; that there is no such tag is found last.
    const name = input.name ?? oldName;
    const renamed = name !== oldName;
    const unused = renamed ? [await refuseInUse(ctx, oldName)] : [];
    refuseChange(oldName, input);
    if (renamed && (await findNicTag(ctx, name))) {
      throw invalid([duplicate('name')]);
    }
    if (input.mtu !== undefined) await refuseLowMtu(ctx, oldName, input.mtu);
    const stored = await getNicTag(ctx, oldName);
    const record = { ...stored.value, ...input, name };
    const remove = {
      operation: 'delete' as const,
      bucket: NIC_TAG_BUCKET,
      key: oldName,
      options: { etag: stored._etag },
    };
    const requests = renamed
      ? [...unused, remove, putTag(record, null)]
      : [putTag(record, stored._etag)];
    return { changes: { requests, events: [] }, result: record };
  });
}

function refuseChange(
  tag: string,
  input: { name?: string; mtu?: number },
): void {
  const errors: FieldError[] = [];
  if (input.name === undefined && input.mtu === undefined) {
    errors.push(missingParameter('name'));
  } else if (tag === 'admin') {
    errors.push(invalidParameter('name', 'admin nic tag cannot be updated'));
  } else if (tag === 'external' && input.name !== 'external') {
    errors.push(invalidParameter('name', 'external nic tag cannot be renamed'));
  }
  if (errors.length > 0) throw invalid(errors);
}

/** @throws ServiceError 404; 422 when networks use it */
export async function removeNicTag(
  ctx: NapiContext,
  name: string,
): Promise<void> {
  await commit(ctx, async () => {
    const stored = await getNicTag(ctx, name);
    const unused = await refuseInUse(ctx, name);
    const changes = {
      requests: [
        unused,
        {
          operation: 'delete' as const,
          bucket: NIC_TAG_BUCKET,
          key: name,
          options: { etag: stored._etag },
        },
      ],
      events: [
        {
          resource: 'nic_tag',
          subResources: ['delete'],
          id: name,
          object: null,
        },
      ],
    };
    return { changes, result: undefined };
  });
}
