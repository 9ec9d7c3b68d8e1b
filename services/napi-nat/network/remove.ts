// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Removing a network (facts: triton-napi 3.6): refused while anybody uses it,
 * on the condition that nobody does in the batch itself. The turn keeps new
 * NICs of this process out meanwhile, so that few attempts are in vain.
 */

import { inUse } from '#lib/errors.js';
import { formatMac, mac } from '#lib/net/mac.js';
import { and, eq } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type StoredObject,
} from '#lib/store/types.js';
import { commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { ipBucket } from '../ip/record.js';
import { releaseFabric } from '../nat-reform/hooks.js';
import { POOL_BUCKET } from '../network-pool/record.js';
import { NIC_BUCKET } from '../nic/record.js';
import { PUBLIC_BUCKET } from '../public/record.js';
import { networkGone } from './event.js';
import { NETWORK_BUCKET, type NetworkRecord } from './record.js';
import { networkTurn } from './turn.js';

const MAX_NAMED = 1000;

/** Who can be in the way, by whom the network is looked up. */
const USERS = [
  {
    type: 'network pool',
    bucket: POOL_BUCKET,
    filter: (uuid: string) => eq('networks', uuid),
    message: 'Network is in use',
    id: ({ key }: StoredObject) => key,
  },
  {
    type: 'nic',
    bucket: NIC_BUCKET,
    filter: (uuid: string) => eq('network_uuid', uuid),
    message: 'network must have no NICs provisioned',
    id: ({ key }: StoredObject) => formatMac(mac(Number(key))),
  },
  {
    type: 'nat public',
    bucket: PUBLIC_BUCKET,
    filter: (uuid: string) => and(eq('v', 1), eq('network_uuid', uuid)),
    message: 'network must have no public IPs in use',
    id: ({ key }: StoredObject) => key,
  },
];

/** @returns what must still hold in the batch: that nobody uses it */
async function refuseInUse(
  ctx: NapiContext,
  uuid: string,
): Promise<BatchRequest[]> {
  const conditions: BatchRequest[] = [];
  for (const { type, bucket, filter, message, id } of USERS) {
    const text = filter(uuid);
    const limit = MAX_NAMED;
    const { objects } = await ctx.store.findObjects(bucket, text, { limit });
    if (objects.length > 0) throw inUse(message, type, objects.map(id));
    conditions.push({ operation: 'absent', bucket, filter: text });
  }
  return conditions;
}

/**
 * @param uuid of the network; `find` gives it as it is now, or throws 404
 * @throws ServiceError 422 InUse when pools have it, or NICs, public IPs or AIPs
 *   are on it
 */
export async function removeNetwork(
  ctx: NapiContext,
  uuid: string,
  find: () => Promise<StoredObject<NetworkRecord>>,
): Promise<void> {
  const build = async () => {
    const stored = await find();
    const unused = await refuseInUse(ctx, uuid);
    const released = await releaseFabric(ctx, stored.value);
    const own = {
      requests: [
        ...unused,
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
    // What is not placed need not wait for placements.
    const { value: network } = await find();
    if (network.nat_reform_public) {
      await ctx.placing.run(() => commit(ctx, build));
    } else {
      await commit(ctx, build);
    }
    try {
      await ctx.store.deleteBucket(ipBucket(uuid));
    } catch (err) {
      if (isStoreError(err, 'BucketNotFoundError')) return;
      ctx.log.warn({ err, network: uuid }, 'address bucket stays behind');
    }
  });
}
