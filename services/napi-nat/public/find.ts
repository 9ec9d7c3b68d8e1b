// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reads public IPs. */

import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { PUBLIC_BUCKET, type PublicRecord } from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;

/** One public IP; null when NAT Reform does not use the address. */
export async function findPublic(
  ctx: StoreContext,
  ip: string,
): Promise<StoredObject<PublicRecord> | null> {
  try {
    return await ctx.store.getObject<PublicRecord>(PUBLIC_BUCKET, ip);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** Public IPs that a filter finds, all of them. */
export async function findPublics(
  ctx: StoreContext,
  filter: string,
): Promise<StoredObject<PublicRecord>[]> {
  const found = await ctx.store.findObjects<PublicRecord>(
    PUBLIC_BUCKET,
    filter,
    { noLimit: true },
  );
  return found.objects;
}
