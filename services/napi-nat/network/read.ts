// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Reading networks: by UUID, and those that are on NAT Reform. */

import { notFound } from '#lib/errors.js';
import { eq } from '#lib/store/filter-text.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { NETWORK_BUCKET, type NetworkRecord, nameKey } from './record.js';

type StoreContext = Pick<NapiContext, 'store'>;

/** A network with its etag; null when there is none. */
export async function findNetwork(
  ctx: StoreContext,
  uuid: string,
): Promise<StoredObject<NetworkRecord> | null> {
  try {
    return await ctx.store.getObject<NetworkRecord>(NETWORK_BUCKET, uuid);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** A network's record; null when there is none. */
export async function readNetwork(
  ctx: StoreContext,
  uuid: string,
): Promise<NetworkRecord | null> {
  return (await findNetwork(ctx, uuid))?.value ?? null;
}

/** @throws ServiceError 404 `network not found` */
export async function getNetwork(
  ctx: StoreContext,
  uuid: string,
): Promise<StoredObject<NetworkRecord>> {
  const found = await findNetwork(ctx, uuid);
  if (found === null) throw notFound('network not found');
  return found;
}

/** A network by its global name; null when there is none. */
export async function findGlobalNetwork(
  ctx: StoreContext,
  name: string,
): Promise<StoredObject<NetworkRecord> | null> {
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    eq('name_str', nameKey(name)),
  );
  return objects[0] ?? null;
}

/** Fabric networks whose SNAT address is this one. */
export async function findNetworksByPublic(
  ctx: StoreContext,
  publicIp: string,
): Promise<NetworkRecord[]> {
  const { objects } = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    eq('nat_reform_public', publicIp),
    { noLimit: true },
  );
  return objects.map(({ value }) => value);
}
