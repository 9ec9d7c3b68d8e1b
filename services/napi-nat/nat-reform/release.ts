// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A fabric network leaves NAT Reform: the inverse of assign.ts. */

import { ServiceError } from '#lib/errors.js';
import type { FabricRule } from '#lib/model/dataplane.js';
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
import { fabricLoad, ruleOf } from './fabric.js';
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
  const fabric = ruleOf(network);
  if (fabric === null) return noChanges();
  await refuseWithAips(ctx, fabric.network_uuid);
  const stored = await findPublic(ctx, fabric.nat_reform_public);
  // Somebody deleted the network meanwhile; the caller's batch will be refused.
  if (stored === null) return noChanges();
  const zone = stored.value.zone_uuid ?? null;
  const { changes } = await releasePlace(ctx, stored, fabric);
  // While it is converted its router is the old NAT zone's to take away.
  if (network.nat_reform_public === undefined) return changes;
  const router = await routerChanges(ctx, {
    network: fabric,
    router_mac: fabric.router_mac,
    zone_uuid: null,
    previous_zone_uuid: zone,
  });
  return merge(changes, router);
}

/** The SNAT address without a fabric, and the load without it. */
export async function releasePlace(
  ctx: NapiContext,
  stored: StoredObject<PublicRecord>,
  fabric: FabricRule,
): Promise<{ changes: Changes }> {
  const ledger = await readLedger(ctx.store);
  const load = fabricLoad(fabric);
  const zone = stored.value.zone_uuid;
  const shifts = zone === undefined ? [] : [{ zone, load: negated(load) }];
  const record = withFabric(stored.value, fabric.owner_uuid, load, -1);
  const changes = merge(await shrink(ctx, stored, record), {
    requests: [advancedLedger(ledger, shifts)],
    events: [],
  });
  return { changes };
}
