// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A fabric network leaves NAT Reform: the inverse of assign.ts. */

import { ServiceError } from '#lib/errors.js';
import { eq } from '#lib/store/filter-text.js';
import type { StoredObject } from '#lib/store/types.js';
import { AIP_BUCKET, type AipRecord } from '../aip/record.js';
import { type Changes, merge, noChanges } from '../commit.js';
import type { NapiContext } from '../context.js';
import { releaseIp } from '../ip/release.js';
import type { NetworkRecord } from '../network/record.js';
import { findPublic } from '../public/find.js';
import {
  PUBLIC_BUCKET,
  type PublicRecord,
  publicEvent,
  putPublic,
  withFabric,
} from '../public/record.js';
import { routerChanges } from '../ul3/rows.js';
import { fabricLoad, fabricOf } from './fabric.js';
import { advancedLedger, negated, readLedger } from './ledger.js';

async function refuseWithAips(
  ctx: NapiContext,
  networkUuid: string,
): Promise<void> {
  const found = await ctx.store.findObjects<AipRecord>(
    AIP_BUCKET,
    eq('fabric_network_uuid', networkUuid),
    { limit: 1000 },
  );
  if (found.objects.length === 0) return;
  const ids = found.objects.map(({ value }) => value.uuid).sort();
  throw new ServiceError(422, {
    code: 'InUse',
    message: 'network must have no AIPs assigned',
    errors: ids.map((id) => ({
      type: 'aip',
      id,
      code: 'UsedBy' as const,
      message: `In use by aip "${id}"`,
    })),
  });
}

/** The public IP with a fabric less, or given back when it was the last. */
async function shrink(
  ctx: NapiContext,
  stored: StoredObject<PublicRecord>,
  record: PublicRecord,
): Promise<Changes> {
  if (record.fabrics > 0) {
    return { requests: [putPublic(record, stored._etag)], events: [] };
  }
  return {
    requests: [
      {
        operation: 'delete',
        bucket: PUBLIC_BUCKET,
        key: record.ip,
        options: { etag: stored._etag },
      },
      ...(await releaseIp(ctx, record.network_uuid, record.ip)),
    ],
    events: [publicEvent(record, 'delete')],
  };
}

/** See `releaseFabric` in hooks.ts. */
export async function releasePlacedFabric(
  ctx: NapiContext,
  network: NetworkRecord,
): Promise<Changes> {
  const fabric = fabricOf(network);
  if (fabric === null) return noChanges();
  const ledger = await readLedger(ctx.store);
  await refuseWithAips(ctx, fabric.network_uuid);
  const stored = await findPublic(ctx, fabric.nat_reform_public);
  // Somebody deleted the network meanwhile; the caller's batch will be refused.
  if (stored === null) return noChanges();
  const load = fabricLoad(fabric);
  const zone = stored.value.zone_uuid ?? null;
  const router = await routerChanges(ctx, {
    network: fabric,
    router_mac: fabric.router_mac,
    zone_uuid: null,
    previous_zone_uuid: zone,
  });
  const shifts = zone === null ? [] : [{ zone, load: negated(load) }];
  const record = withFabric(stored.value, fabric.owner_uuid, load, -1);
  return merge(
    await shrink(ctx, stored, record),
    { requests: [advancedLedger(ledger, shifts)], events: [] },
    router,
  );
}
