// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reads zones. */

import { notFound } from '#lib/errors.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { ZONE_BUCKET, type ZoneRecord } from './record.js';

/**
 * One zone.
 * @throws ServiceError 404 "NAT zone not found"
 */
export async function getZone(
  ctx: Pick<NapiContext, 'store'>,
  uuid: string,
): Promise<StoredObject<ZoneRecord>> {
  try {
    return await ctx.store.getObject<ZoneRecord>(ZONE_BUCKET, uuid);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) {
      throw notFound('NAT zone not found');
    }
    throw error;
  }
}
