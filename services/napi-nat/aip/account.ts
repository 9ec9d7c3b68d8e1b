// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is known of an owner as such: how many AIPs it has and may have, and
 * the role tags of its collection. One row, advanced by each create and delete
 * on its etag, so that a quota holds however many requests come at once to
 * however many processes.
 */

import { ServiceError } from '#lib/errors.js';
import { eq } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  type BucketConfig,
  isStoreError,
} from '#lib/store/types.js';
import { commit } from '../commit.js';
import type { NapiContext } from '../context.js';
import { AIP_BUCKET } from './record.js';

export const ACCOUNT_BUCKET = 'nat_aip_accounts';

export interface AccountRecord {
  owner_uuid: string;
  used: number;
  /** Instead of the configured quota. */
  quota?: number;
  role_tags?: string[];
  v: 1;
}

/** The row as read: what later writes are conditional on. */
export interface StoredAccount {
  record: AccountRecord;
  etag: string | null;
}

export const accountBuckets: Record<string, BucketConfig> = {
  [ACCOUNT_BUCKET]: {
    index: {
      owner_uuid: { type: 'uuid', unique: true },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** An owner as `GET /aip_accounts/:uuid` serves it. */
export interface AipAccount {
  owner_uuid: string;
  used: number;
  /** Null where there is no limit. */
  quota: number | null;
  role_tags: string[];
}

/** Reads the row; one that was never written is counted. */
export async function readAccount(
  ctx: Pick<NapiContext, 'store'>,
  owner_uuid: string,
): Promise<StoredAccount> {
  try {
    const found = await ctx.store.getObject<AccountRecord>(
      ACCOUNT_BUCKET,
      owner_uuid,
    );
    return { record: found.value, etag: found._etag };
  } catch (error) {
    if (!isStoreError(error, 'ObjectNotFoundError')) throw error;
    const { count } = await ctx.store.findObjects(
      AIP_BUCKET,
      eq('owner_uuid', owner_uuid),
      { limit: 1 },
    );
    return { record: { owner_uuid, used: count, v: 1 }, etag: null };
  }
}

function quotaOf(
  ctx: Pick<NapiContext, 'config'>,
  { quota }: AccountRecord,
): number | null {
  return quota ?? ctx.config.nat_reform.aip_quota ?? null;
}

/** The owner as served. */
export function serializeAccount(
  ctx: Pick<NapiContext, 'config'>,
  { record }: StoredAccount,
): AipAccount {
  const { owner_uuid, used, role_tags = [] } = record;
  return { owner_uuid, used, quota: quotaOf(ctx, record), role_tags };
}

function put({ record, etag }: StoredAccount): BatchRequest {
  return {
    bucket: ACCOUNT_BUCKET,
    key: record.owner_uuid,
    value: record,
    options: { etag },
  };
}

/**
 * The row with one AIP more.
 * @throws ServiceError 409 QuotaExceeded
 */
export function oneMore(
  ctx: Pick<NapiContext, 'config'>,
  { record, etag }: StoredAccount,
): BatchRequest {
  const quota = quotaOf(ctx, record);
  if (quota !== null && record.used >= quota) {
    throw new ServiceError(409, {
      code: 'QuotaExceeded',
      message: `${record.used} of ${quota} AIPs are in use`,
    });
  }
  return put({ record: { ...record, used: record.used + 1 }, etag });
}

/** The row with one AIP less. */
export function oneLess({ record, etag }: StoredAccount): BatchRequest {
  const used = Math.max(0, record.used - 1);
  return put({ record: { ...record, used }, etag });
}

/** A validated change; null goes back to the configured quota. */
export interface UpdateAccount {
  quota?: number | null | undefined;
  role_tags?: string[] | undefined;
}

/** Changes an owner's quota or the role tags of its collection. */
export async function updateAccount(
  ctx: NapiContext,
  owner: string,
  input: UpdateAccount,
): Promise<AipAccount> {
  return commit(ctx, async () => {
    const stored = await readAccount(ctx, owner);
    const { quota, role_tags, ...rest } = stored.record;
    const limit = input.quota === undefined ? quota : input.quota;
    const tags = input.role_tags ?? role_tags ?? [];
    const record: AccountRecord = {
      ...rest,
      ...(limit === undefined || limit === null ? {} : { quota: limit }),
      ...(tags.length === 0 ? {} : { role_tags: tags }),
    };
    const changed = { record, etag: stored.etag };
    const result = serializeAccount(ctx, changed);
    return { changes: { requests: [put(changed)], events: [] }, result };
  });
}
