// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Address spaces: one for each vnet, and one for all networks that are not
 * fabrics. Two networks of a space never overlap, also when they are created
 * at the same time, because both creations advance the space's generation.
 */

import { and, eq, not, present } from '#lib/store/filter-text.js';
import { type BatchRequest, isStoreError } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { SPACE_BUCKET, type SpaceRecord } from '../fabric/record.js';
import { NETWORK_BUCKET, type NetworkRecord } from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;

/** The space's name, also of the turn that creations in it take. */
export function spaceName(vnetId: number | undefined): string {
  return vnetId === undefined ? 'physical' : `vnet-${vnetId}`;
}

/**
 * The networks of a space, and the write that keeps it as it was read.
 * @param vnetId undefined: the space of networks that are no fabrics
 */
export async function readSpace(
  ctx: StoreContext,
  vnetId: number | undefined,
): Promise<{ networks: NetworkRecord[]; claim: BatchRequest }> {
  const key = spaceName(vnetId);
  const { generation, etag } = await readGeneration(ctx, key);
  const filter =
    vnetId === undefined
      ? not(present('fabric'))
      : and(eq('vnet_id', vnetId), eq('fabric', true));
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    filter,
    { noLimit: true },
  );
  const claim: BatchRequest = {
    bucket: SPACE_BUCKET,
    key,
    value: { generation: generation + 1 } satisfies SpaceRecord,
    options: { etag },
  };
  return { networks: objects.map(({ value }) => value), claim };
}

async function readGeneration(
  ctx: StoreContext,
  key: string,
): Promise<{ generation: number; etag: string | null }> {
  try {
    const { value, _etag } = await ctx.store.getObject<SpaceRecord>(
      SPACE_BUCKET,
      key,
    );
    return { generation: value.generation, etag: _etag };
  } catch (error) {
    if (!isStoreError(error, 'ObjectNotFoundError')) throw error;
    return { generation: 0, etag: null };
  }
}
