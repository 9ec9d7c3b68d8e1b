// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A customer's VLANs (facts: triton-napi 4.2). VLANs publish nothing. */

import { type FieldError, inUse, notFound, ServiceError } from '#lib/errors.js';
import { and, eq } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type StoredObject,
} from '#lib/store/types.js';
import { commit } from '../commit.js';
import type { NapiContext } from '../context.js';
import { NETWORK_BUCKET } from '../network/record.js';
import { spaceName } from '../network/space.js';
import { duplicate } from '../validate/params.js';
import { VLAN_BUCKET, type VlanRecord, vlanKey } from './record.js';
import { claimVnet, findFabric } from './vnet.js';

type StoreContext = Pick<NapiContext, 'store'>;

/** What a client may say of a VLAN. */
export interface VlanText {
  name?: string;
  description?: string;
}

/** A VLAN with its etag; null when there is none. */
async function findVlan(
  ctx: StoreContext,
  owner: string,
  vlanId: number,
): Promise<StoredObject<VlanRecord> | null> {
  try {
    const key = vlanKey(owner, vlanId);
    return await ctx.store.getObject<VlanRecord>(VLAN_BUCKET, key);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** @throws ServiceError 404 `vlan not found` */
export async function getVlan(
  ctx: StoreContext,
  owner: string,
  vlanId: number,
): Promise<StoredObject<VlanRecord>> {
  const found = await findVlan(ctx, owner, vlanId);
  if (found === null) throw notFound('vlan not found');
  return found;
}

/** An owner's VLANs by id; none when the owner has no fabric. */
export async function listVlans(
  ctx: StoreContext,
  owner: string,
  page: { limit: number; offset: number },
): Promise<VlanRecord[]> {
  const { objects } = await ctx.store.findObjects<VlanRecord>(
    VLAN_BUCKET,
    eq('owner_uuid', owner),
    { ...page, sort: { attribute: 'vlan_id' } },
  );
  return objects.map(({ value }) => value);
}

function vlanInUse(): ServiceError {
  const message = 'VLAN ID is already in use';
  const errors: FieldError[] = [duplicate('vlan_id', message)];
  return new ServiceError(422, { code: 'InUse', message, errors });
}

/**
 * Makes a VLAN, and the owner's fabric with the first one.
 * @throws ServiceError 422 InUse when the owner has this VLAN
 */
export async function createVlan(
  ctx: NapiContext,
  owner: string,
  vlanId: number,
  text: VlanText,
): Promise<VlanRecord> {
  // Sequential ids are one queue: each is one more than the last.
  const sequential = ctx.config.overlay.vnet_ids === 'sequential';
  return ctx.turns.run(sequential ? 'vnets' : `owner ${owner}`, () =>
    commit(ctx, async () => {
      if (await findVlan(ctx, owner, vlanId)) throw vlanInUse();
      const { vnet_id, requests } = await claimVnet(ctx, owner);
      const record: VlanRecord = withText(
        { owner_uuid: owner, vlan_id: vlanId, vnet_id, v: 0 },
        text,
      );
      const put = {
        bucket: VLAN_BUCKET,
        key: vlanKey(owner, vlanId),
        value: record,
        options: { etag: null },
      };
      const changes = { requests: [...requests, put], events: [] };
      return { changes, result: record };
    }),
  );
}

function withText(record: VlanRecord, text: VlanText): VlanRecord {
  const after = { ...record, ...text };
  if (after.description === '') delete after.description;
  return after;
}

/** Changes a VLAN; `check` may refuse by its etag. */
export async function updateVlan(
  ctx: NapiContext,
  at: { owner: string; vlanId: number },
  text: VlanText,
  check: (etag: string) => void,
): Promise<VlanRecord> {
  return commit(ctx, async () => {
    const stored = await getVlan(ctx, at.owner, at.vlanId);
    check(stored._etag);
    const record = withText(stored.value, text);
    const put = {
      bucket: VLAN_BUCKET,
      key: stored.key,
      value: record,
      options: { etag: stored._etag },
    };
    return { changes: { requests: [put], events: [] }, result: record };
  });
}

/**
 * Removes a VLAN. It takes the vnet's turn, so that it does not try in vain
 * while a network is made in it.
 * @throws ServiceError 404; 422 InUse when networks are on it
 */
export async function removeVlan(
  ctx: NapiContext,
  owner: string,
  vlanId: number,
  check: (etag: string) => void,
): Promise<void> {
  const fabric = await findFabric(ctx, owner);
  await ctx.turns.run(spaceName(fabric?.vnet_id), () =>
    commit(ctx, async () => {
      const stored = await getVlan(ctx, owner, vlanId);
      check(stored._etag);
      const unused = await refuseNetworks(ctx, stored.value);
      const remove = {
        operation: 'delete' as const,
        bucket: VLAN_BUCKET,
        key: stored.key,
        options: { etag: stored._etag },
      };
      return {
        changes: { requests: [unused, remove], events: [] },
        result: undefined,
      };
    }),
  );
}

/** @returns what must still hold in the batch: that no network is on it */
async function refuseNetworks(
  ctx: StoreContext,
  vlan: VlanRecord,
): Promise<BatchRequest> {
  const filter = and(
    eq('vnet_id', vlan.vnet_id),
    eq('vlan_id', vlan.vlan_id),
    eq('fabric', true),
  );
  const { objects } = await ctx.store.findObjects(NETWORK_BUCKET, filter);
  if (objects.length > 0) {
    const ids = objects.map(({ key }) => key);
    throw inUse('VLAN must have no networks', 'network', ids);
  }
  return { operation: 'absent', bucket: NETWORK_BUCKET, filter };
}
