// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Giving an address back (facts: triton-napi 5.5). */

import { type BatchRequest, isStoreError } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { findIp } from './read.js';
import { type IpRecord, putIp } from './record.js';

/**
 * The writes that free an address: it belongs to nobody any more, and to no
 * owner unless it is reserved. The record stays, so that the address is not
 * given out again before others.
 * @param belongsTo frees it only when it still belongs to this UUID
 * @returns nothing when there is no record, or it is someone else's
 */
export async function releaseIp(
  ctx: Pick<NapiContext, 'store'>,
  networkUuid: string,
  ip: string,
  belongsTo?: string,
): Promise<BatchRequest[]> {
  try {
    const stored = await findIp(ctx, networkUuid, ip);
    if (stored === null) return [];
    const record = stored.value;
    if (belongsTo !== undefined && record.belongs_to_uuid !== belongsTo) {
      return [];
    }
    return [putIp(networkUuid, released(record), stored._etag)];
  } catch (error) {
    // The network, and its addresses with it, may be gone.
    if (isStoreError(error, 'BucketNotFoundError')) return [];
    throw error;
  }
}

/** The record without whom it belonged to. */
export function released(record: IpRecord): IpRecord {
  const { belongs_to_type: _type, belongs_to_uuid: _uuid, ...rest } = record;
  if (record.reserved) return rest;
  const { owner_uuid: _owner, ...free } = rest;
  return free;
}
