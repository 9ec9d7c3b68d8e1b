// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A NAT Reform zone as stored. Its state here is what was *decided*; what is
 * observed of it lives in memory (see liveness.ts) until it leads to a
 * decision.
 */

import type { NatZone, ZoneState } from '#lib/model/dataplane.js';
import type {
  BatchRequest,
  BucketConfig,
  EtagCondition,
  JournalEvent,
} from '#lib/store/types.js';
import type { Load, PlacementZone } from '../placement.js';

export const ZONE_BUCKET = 'nat_zones';

export interface ZoneRecord {
  uuid: string;
  ul3_ip: string;
  ul3_port: number;
  external_ip: string;
  server_uuid?: string;
  state: ZoneState;
  standby: boolean;
  weight: number;
  ul3_served_by?: string;
  /** An operator wants no new work here, also after a failure. */
  draining?: boolean;
  /** It came up under `rebalance` and has not been given its share yet. */
  joining?: boolean;
  /** Milliseconds since the epoch. */
  created: number;
  v: 1;
}

export const zoneBuckets: Record<string, BucketConfig> = {
  [ZONE_BUCKET]: {
    index: {
      uuid: { type: 'uuid', unique: true },
      ul3_ip: { type: 'ip', unique: true },
      external_ip: { type: 'ip' },
      server_uuid: { type: 'uuid' },
      state: { type: 'string' },
      created: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** The zone as served and published. */
export function natZone(record: ZoneRecord): NatZone {
  return {
    uuid: record.uuid,
    ul3_ip: record.ul3_ip,
    ul3_port: record.ul3_port,
    external_ip: record.external_ip,
    server_uuid: record.server_uuid ?? null,
    state: record.state,
    standby: record.standby,
    weight: record.weight,
    ul3_served_by: record.ul3_served_by ?? null,
  };
}

/** What placement sees of a zone. */
export function placementZone(
  record: ZoneRecord,
  load: Load,
  deaf = false,
): PlacementZone {
  return {
    uuid: record.uuid,
    server_uuid: record.server_uuid ?? null,
    state: record.state,
    standby: record.standby,
    weight: record.weight,
    deaf,
    created: record.created,
    load,
  };
}

/** The change event of a zone; `delete` carries no object. */
export function zoneEvent(
  record: ZoneRecord,
  change: 'create' | 'state' | 'delete',
): JournalEvent {
  return {
    resource: 'nat_zone',
    subResources: [change],
    id: record.uuid,
    object: change === 'delete' ? null : natZone(record),
  };
}

/** Puts the record on the condition that it is still as it was read. */
export function putZone(record: ZoneRecord, etag: EtagCondition): BatchRequest {
  return {
    bucket: ZONE_BUCKET,
    key: record.uuid,
    value: record,
    options: { etag },
  };
}
