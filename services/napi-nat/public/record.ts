// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A public IP as stored: which zone serves it and what sits on it. An address
 * is used either for SNAT or by one AIP, never both; the key is the address,
 * so the store itself refuses a second use.
 */

import type { NatPublic } from '#lib/model/dataplane.js';
import type {
  BatchRequest,
  BucketConfig,
  EtagCondition,
  JournalEvent,
} from '#lib/store/types.js';
import type { Load, PlacementPublic } from '../placement.js';

export const PUBLIC_BUCKET = 'nat_publics';

export interface PublicRecord {
  ip: string;
  kind: 'snat' | 'aip';
  zone_uuid?: string;
  /** Only under `per-owner`: nobody else's fabrics may join. */
  owner_uuid?: string;
  network_uuid: string;
  /** `belongs_to_uuid` of the address's IP record. */
  allocation_uuid: string;
  /** An AIP: the SNAT public IP whose zone it must be on (RFD 158). */
  follows?: string;
  /** An AIP: whose address this is. */
  aip_uuid?: string;
  /** SNAT: owners of the fabrics on it, indexed, and how many each has. */
  fabric_owners: string[];
  fabrics_by_owner: Record<string, number>;
  fabrics: number;
  addresses: number;
  v: 1;
}

export const publicBuckets: Record<string, BucketConfig> = {
  [PUBLIC_BUCKET]: {
    index: {
      ip: { type: 'ip', unique: true },
      kind: { type: 'string' },
      zone_uuid: { type: 'uuid' },
      owner_uuid: { type: 'uuid' },
      fabric_owners: { type: '[uuid]' },
      fabrics: { type: 'number' },
      follows: { type: 'ip' },
      aip_uuid: { type: 'uuid' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** The data plane's view, as served and published. */
export function natPublic(record: PublicRecord): NatPublic {
  return {
    ip: record.ip,
    kind: record.kind,
    zone_uuid: record.zone_uuid ?? null,
    owner_uuid: record.owner_uuid ?? null,
    network_uuid: record.network_uuid,
  };
}

/** What placement sees of an SNAT address; null while no zone has it. */
export function placementPublic(record: PublicRecord): PlacementPublic | null {
  if (record.zone_uuid === undefined) return null;
  return {
    ip: record.ip,
    zone_uuid: record.zone_uuid,
    owner_uuid: record.owner_uuid ?? null,
    load: { fabrics: record.fabrics, addresses: record.addresses },
  };
}

/** The change event of a public IP; `delete` carries no object. */
export function publicEvent(
  record: PublicRecord,
  change: 'create' | 'zone' | 'delete',
): JournalEvent {
  return {
    resource: 'nat_public',
    subResources: [change],
    id: record.ip,
    object: change === 'delete' ? null : natPublic(record),
  };
}

/** Puts the record on the condition that it is still as it was read. */
export function putPublic(
  record: PublicRecord,
  etag: EtagCondition,
): BatchRequest {
  return {
    bucket: PUBLIC_BUCKET,
    key: record.ip,
    value: record,
    options: { etag },
  };
}

/**
 * The record with one fabric more or less on it.
 * @param sign 1 to add, -1 to take away
 */
export function withFabric(
  record: PublicRecord,
  owner: string,
  load: Load,
  sign: 1 | -1,
): PublicRecord {
  const counts = { ...record.fabrics_by_owner };
  const count = (counts[owner] ?? 0) + sign * load.fabrics;
  if (count > 0) counts[owner] = count;
  else delete counts[owner];
  return {
    ...record,
    fabrics_by_owner: counts,
    fabric_owners: Object.keys(counts).sort(),
    fabrics: record.fabrics + sign * load.fabrics,
    addresses: record.addresses + sign * load.addresses,
  };
}
