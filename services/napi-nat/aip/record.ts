// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An Assignable IP as stored and as served (RFD 158, "Assignable IP
 * Addresses"). `target` is unique: a private address has one AIP at most.
 */

import type { Aip, AipState } from '#lib/model/aip.js';
import type { OneToOne } from '#lib/model/dataplane.js';
import type {
  BatchRequest,
  BucketConfig,
  EtagCondition,
  JournalEvent,
} from '#lib/store/types.js';
import { etagOfRecord } from '../etag.js';

export const AIP_BUCKET = 'nat_aips';

/** Where an AIP points, all or nothing. */
export interface AipTarget {
  belongs_to_uuid: string;
  belongs_to_type: 'Instance';
  private_ip: string;
  vnet_id: number;
  vlan_id: number;
  fabric_network_uuid: string;
  /** `<vnet id>,<private ip>`. */
  target: string;
}

export interface AipRecord extends Partial<AipTarget> {
  uuid: string;
  owner_uuid: string;
  ip: string;
  network_uuid: string;
  description?: string;
  tags?: Record<string, string | number | boolean>;
  deletion_protection?: boolean;
  role_tags?: string[];
  /**
   * The journal's position before the AIP last changed where it points: the
   * event that tells of it came later (see progress.ts).
   */
  since?: number;
  /** Milliseconds since the epoch. */
  created: number;
  modified: number;
  v: 1;
}

export const aipBuckets: Record<string, BucketConfig> = {
  [AIP_BUCKET]: {
    index: {
      uuid: { type: 'string', unique: true },
      owner_uuid: { type: 'uuid' },
      ip: { type: 'ip', unique: true },
      belongs_to_uuid: { type: 'uuid' },
      target: { type: 'string', unique: true },
      fabric_network_uuid: { type: 'uuid' },
      created: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** The unique text of {vnet, private IP}. */
export function targetOf(vnet: number, privateIp: string): string {
  return `${vnet},${privateIp}`;
}

/** Whether the AIP points at an instance. */
export function isAssigned(record: AipRecord): record is AipRecord & AipTarget {
  return record.target !== undefined;
}

/**
 * The record without its target.
 * @param position the journal's
 */
export function unassigned(
  record: AipRecord,
  now: number,
  position: number,
): AipRecord {
  const {
    belongs_to_uuid: _instance,
    belongs_to_type: _type,
    private_ip: _ip,
    vnet_id: _vnet,
    vlan_id: _vlan,
    fabric_network_uuid: _network,
    target: _target,
    ...rest
  } = record;
  return { ...rest, since: position, modified: now };
}

/** The AIP as `GET /aips` serves it; absent fields are omitted. */
export function serializeAip(record: AipRecord, state: AipState): Aip {
  const {
    target: _target,
    since: _since,
    created,
    modified,
    v: _v,
    ...rest
  } = record;
  return {
    ...rest,
    family: 'ipv4',
    state,
    deletion_protection: record.deletion_protection ?? false,
    created_timestamp: new Date(created).toISOString(),
    modified_timestamp: new Date(modified).toISOString(),
  };
}

/** What an answer says of an AIP, with the etag of the record behind it. */
export interface AipAnswer extends Aip {
  etag: string;
}

/** The answer to a change that leaves this record. */
export function answerOf(record: AipRecord, state: AipState): AipAnswer {
  return { ...serializeAip(record, state), etag: etagOfRecord(record) };
}

/** The data plane's entry; null while the AIP points nowhere. */
export function oneToOne(record: AipRecord): OneToOne | null {
  if (!isAssigned(record)) return null;
  return {
    aip_uuid: record.uuid,
    vnet_id: record.vnet_id,
    vlan_id: record.vlan_id,
    private_ip: record.private_ip,
    public_ip: record.ip,
  };
}

/** The change event of an AIP. */
export function aipEvent(
  record: AipRecord,
  change: 'create' | 'assign' | 'detach' | 'update' | 'delete',
): JournalEvent {
  return {
    resource: 'aip',
    subResources: [change],
    id: record.uuid,
    object: change === 'delete' ? null : oneToOne(record),
    extra: { owner_uuid: record.owner_uuid },
  };
}

/** Puts the record on the condition that it is still as it was read. */
export function putAip(record: AipRecord, etag: EtagCondition): BatchRequest {
  return {
    bucket: AIP_BUCKET,
    key: record.uuid,
    value: record,
    options: { etag },
  };
}
