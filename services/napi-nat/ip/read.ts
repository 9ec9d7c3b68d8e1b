// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reading addresses of a network. */

import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { type IpRecord, ipBucket } from './record.js';

/** The record of an address with its etag; null when there is none. */
export async function findIp(
  ctx: Pick<NapiContext, 'store'>,
  networkUuid: string,
  ip: string,
): Promise<StoredObject<IpRecord> | null> {
  try {
    return await ctx.store.getObject<IpRecord>(ipBucket(networkUuid), ip);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}
