// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Who did what to an AIP, as `GET /my/machines/:id/audit` tells it of machines
 * (facts: cloudapi 1.8). An entry is a row of the batch that did it. Entries
 * outlive the AIP, so that its owner can see who deleted it.
 */

import { notFound } from '#lib/errors.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { BatchRequest, BucketConfig } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { isUuid } from '../validate/values.js';

export const AUDIT_BUCKET = 'nat_aip_audit';
/** How long entries are kept: 90 days. */
export const AUDIT_MS = 90 * 86_400_000;
/** Most entries that are shown of one AIP. */
const SHOWN = 1000;

export type AuditAction = 'create' | 'assign' | 'detach' | 'update' | 'delete';

/** Who asked; a signer is named as CloudAPI names it. */
export interface AuditCaller {
  type: 'signature' | 'operator' | 'system';
  ip?: string;
  /** A sub-user's login. */
  user?: string;
  keyId?: string;
}

interface AuditRecord {
  aip_uuid: string;
  owner_uuid: string;
  action: AuditAction;
  caller: AuditCaller;
  /** Milliseconds since the epoch. */
  time: number;
  v: 1;
}

/** An entry as served; `success` is CloudAPI's word for it. */
export interface AuditEntry {
  success: 'yes';
  /** ISO 8601. */
  time: string;
  action: AuditAction;
  caller: AuditCaller;
}

export const auditBuckets: Record<string, BucketConfig> = {
  [AUDIT_BUCKET]: {
    index: {
      aip_uuid: { type: 'uuid' },
      owner_uuid: { type: 'uuid' },
      time: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** What NAPI does of itself, such as detaching an AIP whose NIC goes. */
export const SYSTEM: AuditCaller = { type: 'system' };

/** The entry of one change. */
export function auditRow(
  ctx: Pick<NapiContext, 'clock' | 'uuid'>,
  aip: { uuid: string; owner_uuid: string },
  action: AuditAction,
  caller: AuditCaller,
): BatchRequest {
  const time = ctx.clock.now();
  const value: AuditRecord = {
    aip_uuid: aip.uuid,
    owner_uuid: aip.owner_uuid,
    action,
    caller,
    time,
    v: 1,
  };
  // A random key: entries never meet, whoever writes them.
  return { bucket: AUDIT_BUCKET, key: ctx.uuid(), value };
}

/**
 * What was done to an AIP, newest first.
 * @param owner when given, anybody else's AIP is not found
 * @throws ServiceError 404 when nothing is known of it
 */
export async function listAudit(
  ctx: Pick<NapiContext, 'store'>,
  aip: string,
  owner: string | undefined,
): Promise<AuditEntry[]> {
  if (!isUuid(aip)) throw notFound('aip not found');
  const terms = [eq('aip_uuid', aip)];
  if (owner !== undefined) terms.push(eq('owner_uuid', owner));
  const found = await ctx.store.findObjects<AuditRecord>(
    AUDIT_BUCKET,
    and(...terms),
    { limit: SHOWN, noCount: true, sort: { attribute: '_id', order: 'DESC' } },
  );
  if (found.objects.length === 0) throw notFound('aip not found');
  return found.objects.map(({ value: { time, action, caller } }) => ({
    success: 'yes',
    time: new Date(time).toISOString(),
    action,
    caller,
  }));
}
