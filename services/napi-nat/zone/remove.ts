// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A zone is emptied, or deleted: its work moves as if it had failed ("If an
 * operator removes NAT Reform zone, or a failure to reach it is detected...",
 * RFD 158).
 */

import { ServiceError } from '#lib/errors.js';
import type { StoredObject } from '#lib/store/types.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { evacuateZone } from '../failover.js';
import { releaseExternal } from '../nat-reform/allocate.js';
import { zoneUnderlayChanges } from '../ul3/rows.js';
import { getZone } from './find.js';
import { putZone, ZONE_BUCKET, type ZoneRecord, zoneEvent } from './record.js';
import { drained } from './states.js';

function refuseLast(zone: ZoneRecord, fabrics: number): void {
  if (fabrics === 0) return;
  throw new ServiceError(409, {
    code: 'InUse',
    message:
      `zone ${zone.uuid} is the last one that can serve with all rules and ` +
      `routes for ${fabrics} fabric network${fabrics === 1 ? '' : 's'}`,
  });
}

/**
 * Deletes a zone.
 * @param laggards zones that are to inherit nothing, see `evacuateZone`
 * @throws ServiceError 404; 409 InUse: it is the last zone and fabrics use it
 */
export async function removeZone(
  ctx: NapiContext,
  uuid: string,
  laggards: ReadonlySet<string> = new Set(),
): Promise<void> {
  await getZone(ctx, uuid);
  const rows = async (zone: StoredObject<ZoneRecord>): Promise<Changes> => {
    const underlay = await zoneUnderlayChanges(ctx, { uuid, removed: true });
    const own: Changes = {
      requests: [
        {
          operation: 'delete',
          bucket: ZONE_BUCKET,
          key: uuid,
          options: { etag: zone._etag },
        },
        ...(await releaseExternal(ctx, zone.value.external_ip)),
      ],
      events: [zoneEvent(zone.value, 'delete')],
    };
    return merge(underlay, own);
  };
  await evacuateZone(ctx, uuid, laggards, rows, refuseLast);
}

/**
 * Moves all work of a zone that goes on living, and gives it no new.
 * @param laggards zones that are to inherit nothing, see `evacuateZone`
 * @throws ServiceError 404; 409 InUse: it is the last zone and fabrics use it
 */
export async function emptyZone(
  ctx: NapiContext,
  uuid: string,
  laggards: ReadonlySet<string> = new Set(),
): Promise<void> {
  await getZone(ctx, uuid);
  const rows = async (zone: StoredObject<ZoneRecord>): Promise<Changes> => {
    const record = drained(zone.value);
    return {
      requests: [putZone(record, zone._etag)],
      events: [zoneEvent(record, 'state')],
    };
  };
  await evacuateZone(ctx, uuid, laggards, rows, refuseLast);
}
