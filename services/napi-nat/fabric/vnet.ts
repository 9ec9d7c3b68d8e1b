// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A customer's vnet id (facts: triton-napi 4.1): chosen once, with the first
 * VLAN, unique among owners. A collision is chosen again instead of failing.
 */

import { type BatchRequest, isStoreError } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { FABRIC_BUCKET, type FabricRecord } from './record.js';

/** Random ids are below this; the last one is the probe's by default. */
const VNET_COUNT = 16_777_215;

type StoreContext = Pick<NapiContext, 'store'>;

/** An owner's fabric; null before the first VLAN. */
export async function findFabric(
  ctx: StoreContext,
  owner: string,
): Promise<FabricRecord | null> {
  try {
    const { value } = await ctx.store.getObject<FabricRecord>(
      FABRIC_BUCKET,
      owner,
    );
    return value;
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/**
 * The owner's vnet id, and what must be in the batch for it to hold.
 * A collision in the batch is seen by the store's unique index.
 */
export async function claimVnet(
  ctx: NapiContext,
  owner: string,
): Promise<{ vnet_id: number; requests: BatchRequest[] }> {
  const existing = await findFabric(ctx, owner);
  if (existing) return { vnet_id: existing.vnet_id, requests: [] };
  const sequential = ctx.config.overlay.vnet_ids === 'sequential';
  const chosen = sequential
    ? await nextHighest(ctx)
    : Math.floor(ctx.random() * VNET_COUNT);
  const reserved = chosen === ctx.config.nat_reform.probe.vnet;
  const vnet_id = reserved ? chosen + 1 : chosen;
  const record: FabricRecord = { owner_uuid: owner, vnet_id };
  return {
    vnet_id,
    requests: [
      {
        bucket: FABRIC_BUCKET,
        key: owner,
        value: record,
        options: { etag: null },
      },
    ],
  };
}

/** One more than the highest, so that ids are small and never used again. */
async function nextHighest(ctx: StoreContext): Promise<number> {
  const { objects } = await ctx.store.findObjects<FabricRecord>(
    FABRIC_BUCKET,
    '(vnet_id>=0)',
    { limit: 1, sort: { attribute: 'vnet_id', order: 'DESC' } },
  );
  return (objects[0]?.value.vnet_id ?? 0) + 1;
}
