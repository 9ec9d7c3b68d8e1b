// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Removing a network (facts: triton-napi 3.6): refused while anybody uses it.
 * The turn keeps new NICs of this process out meanwhile; a NIC made by another
 * process puts the network's record on its etag and is refused in turn.
 */

import { ServiceError, type UsedByError } from '#lib/errors.js';
import { formatMac, mac } from '#lib/net/mac.js';
import { and, eq } from '#lib/store/filter-text.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import { commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { ipBucket } from '../ip/record.js';
import { releaseFabric } from '../nat-reform/hooks.js';
import { NIC_BUCKET, type NicRecord } from '../nic/record.js';
import { PUBLIC_BUCKET, type PublicRecord } from '../public/record.js';
import { networkGone } from './event.js';
import { NETWORK_BUCKET, type NetworkRecord } from './record.js';
import { networkTurn } from './turn.js';

const MAX_NAMED = 1000;

function inUse(
  message: string,
  type: string,
  ids: readonly string[],
): ServiceError {
  const errors: UsedByError[] = [...ids].sort().map((id) => ({
    type,
    id,
    code: 'UsedBy',
    message: `In use by ${type} "${id}"`,
  }));
  return new ServiceError(422, { code: 'InUse', message, errors });
}

async function refuseInUse(ctx: NapiContext, uuid: string): Promise<void> {
  const nics = await ctx.store.findObjects<NicRecord>(
    NIC_BUCKET,
    eq('network_uuid', uuid),
    { limit: MAX_NAMED },
  );
  if (nics.objects.length > 0) {
    throw inUse(
      'network must have no NICs provisioned',
      'nic',
      nics.objects.map(({ value }) => formatMac(mac(value.mac))),
    );
  }
  const publics = await ctx.store.findObjects<PublicRecord>(
    PUBLIC_BUCKET,
    and(eq('v', 1), eq('network_uuid', uuid)),
    { limit: MAX_NAMED },
  );
  if (publics.objects.length > 0) {
    throw inUse(
      'network must have no public IPs in use',
      'nat public',
      publics.objects.map(({ key }) => key),
    );
  }
}

/**
 * @param uuid of the network; `find` gives it as it is now, or throws 404
 * @throws ServiceError 422 InUse when NICs, public IPs or AIPs are on it
 */
export async function removeNetwork(
  ctx: NapiContext,
  uuid: string,
  find: () => Promise<StoredObject<NetworkRecord>>,
): Promise<void> {
  const build = async () => {
    const stored = await find();
    await refuseInUse(ctx, uuid);
    const released = await releaseFabric(ctx, stored.value);
    const own = {
      requests: [
        {
          operation: 'delete' as const,
          bucket: NETWORK_BUCKET,
          key: uuid,
          options: { etag: stored._etag },
        },
      ],
      events: [networkGone(uuid)],
    };
    return { changes: merge(own, released), result: undefined };
  };
  await networkTurn(ctx, uuid, async () => {
    await ctx.placing.run(() => commit(ctx, build));
    try {
      await ctx.store.deleteBucket(ipBucket(uuid));
    } catch (err) {
      if (isStoreError(err, 'BucketNotFoundError')) return;
      ctx.log.warn({ err, network: uuid }, 'address bucket stays behind');
    }
  });
}
