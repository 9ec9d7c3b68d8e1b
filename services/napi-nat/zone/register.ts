// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An operator registers a zone, or changes what it said of it: where its UL3
 * is, its external IP, whether it is held in reserve.
 */

import {
  type FieldError,
  invalidParameter,
  ServiceError,
} from '#lib/errors.js';
import { type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { reserveExternal } from '../nat-reform/allocate.js';
import { advancedLedger, readLedger } from '../nat-reform/ledger.js';
import { readZones } from '../nat-reform/state.js';
import { zoneUnderlayChanges } from '../ul3/rows.js';
import { getZone } from './find.js';
import { putZone, type ZoneRecord, zoneEvent } from './record.js';
import { drained, undrained } from './states.js';

/** A validated registration. */
export interface ZoneInput {
  uuid: string;
  ul3_ip: string;
  ul3_port: number;
  external_ip: string;
  server_uuid?: string | undefined;
  standby: boolean;
  weight: number;
}

/** A validated change; absent means as before. */
export type ZoneUpdate = {
  [K in keyof Omit<ZoneInput, 'uuid'>]?: ZoneInput[K] | undefined;
} & { action?: 'drain' | 'undrain' | 'rebalance' | undefined };

function invalid(errors: FieldError[]): ServiceError {
  return new ServiceError(422, {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors,
  });
}

/**
 * No two zones may have one UL3 or one external IP, nor be on one compute node
 * ("no more than one per CN", RFD 158): both would be lost with it.
 */
function refuseClash(zone: ZoneRecord, others: readonly ZoneRecord[]): void {
  const errors = others
    .filter((other) => other.uuid !== zone.uuid)
    .flatMap((other) =>
      (['ul3_ip', 'external_ip', 'server_uuid'] as const)
        .filter((field) => {
          return zone[field] !== undefined && other[field] === zone[field];
        })
        .map((field) =>
          invalidParameter(field, `${zone[field]} is zone ${other.uuid}'s`),
        ),
    );
  if (errors.length > 0) throw invalid(errors);
}

/**
 * Registers a zone. It is `new` until it gives its first sign of life.
 * @throws ServiceError 422: its UUID, UL3, external IP or compute node is
 *   another zone's
 */
export async function registerZone(
  ctx: NapiContext,
  input: ZoneInput,
): Promise<ZoneRecord> {
  return ctx.placing.run(() =>
    commit(ctx, async () => {
      const ledger = await readLedger(ctx.store);
      const zones = (await readZones(ctx)).map(({ value }) => value);
      if (zones.some((zone) => zone.uuid === input.uuid)) {
        const message = 'Already exists';
        throw invalid([{ field: 'uuid', code: 'Duplicate', message }]);
      }
      const { server_uuid, ...rest } = input;
      const record: ZoneRecord = {
        ...rest,
        ...(server_uuid === undefined ? {} : { server_uuid }),
        state: 'new',
        created: ctx.clock.now(),
        v: 1,
      };
      refuseClash(record, zones);
      const rows: Changes = {
        requests: [
          putZone(record, null),
          advancedLedger(ledger, []),
          ...(await reserveExternal(ctx, record.external_ip)),
        ],
        events: [zoneEvent(record, 'create')],
      };
      const underlay = await zoneUnderlayChanges(ctx, {
        uuid: record.uuid,
        ip: record.ul3_ip,
        port: record.ul3_port,
      });
      return { changes: merge(rows, underlay), result: record };
    }),
  );
}

/** The record with the changes; state follows the action. */
function changed(before: ZoneRecord, update: ZoneUpdate): ZoneRecord {
  const { action, ...fields } = update;
  const given = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  );
  const after: ZoneRecord = { ...before, ...given };
  switch (action) {
    case 'drain':
      return drained(after);
    case 'undrain':
      return undrained(after);
    case 'rebalance':
      return { ...after, joining: true };
    default:
      return after;
  }
}

/**
 * Changes a zone. Draining takes no work away; it brings no new.
 * @throws ServiceError 404; 422 when the UL3, external IP or compute node is
 *   another zone's
 */
export async function updateZone(
  ctx: NapiContext,
  uuid: string,
  update: ZoneUpdate,
): Promise<ZoneRecord> {
  return ctx.placing.run(() =>
    commit(ctx, async () => {
      const ledger = await readLedger(ctx.store);
      const stored = await getZone(ctx, uuid);
      const record = changed(stored.value, update);
      const zones = (await readZones(ctx)).map(({ value }) => value);
      refuseClash(record, zones);
      const rows: Changes = {
        requests: [
          putZone(record, stored._etag),
          advancedLedger(ledger, []),
          ...(await reserveExternal(ctx, record.external_ip)),
        ],
        events: [zoneEvent(record, 'state')],
      };
      const underlay = await zoneUnderlayChanges(ctx, {
        uuid,
        ip: record.ul3_ip,
        port: record.ul3_port,
      });
      return { changes: merge(rows, underlay), result: record };
    }),
  );
}
