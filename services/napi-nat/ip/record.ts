// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An address as stored and as shown (facts: triton-napi 6.1, 9.1). Each network
 * has a bucket of its own, keyed by the address' text. An address without a
 * record is free; one that was freed keeps its record, so that it is given
 * out again only after those never used.
 */

import type {
  BatchRequest,
  BucketConfig,
  EtagCondition,
} from '#lib/store/types.js';

export type BelongsToType = 'other' | 'server' | 'zone';

export interface IpRecord {
  /** Dotted quad. */
  ipaddr: string;
  reserved: boolean;
  belongs_to_type?: string;
  belongs_to_uuid?: string;
  owner_uuid?: string;
  v: 2;
}

export const ipBucketConfig: BucketConfig = {
  index: {
    ipaddr: { type: 'ip', unique: true },
    reserved: { type: 'boolean' },
    belongs_to_type: { type: 'string' },
    belongs_to_uuid: { type: 'string' },
    owner_uuid: { type: 'string' },
    v: { type: 'number' },
  },
  options: { version: 2 },
};

/** The bucket of a network's addresses. */
export function ipBucket(networkUuid: string): string {
  return `napi_ips_${networkUuid.replaceAll('-', '_')}`;
}

/** A record that belongs to nobody. */
export function freeIp(ipaddr: string): IpRecord {
  return { ipaddr, reserved: false, v: 2 };
}

/** Neither reserved nor anybody's. */
export function isFree(record: IpRecord): boolean {
  return (
    !record.reserved &&
    record.belongs_to_type === undefined &&
    record.belongs_to_uuid === undefined &&
    record.owner_uuid === undefined
  );
}

/**
 * Whether a NIC may take the address by naming it: nobody's, or the
 * operator's own `other`, such as a gateway or a resolver.
 */
export function isProvisionable(record: IpRecord, adminUuid: string): boolean {
  const { belongs_to_type: type, belongs_to_uuid: uuid } = record;
  if (type === undefined || uuid === undefined) return true;
  return type === 'other' && uuid === adminUuid;
}

/** What clients see. */
export function serializeIp(
  record: IpRecord,
  networkUuid: string,
): Record<string, unknown> {
  return {
    ip: record.ipaddr,
    network_uuid: networkUuid,
    reserved: record.reserved,
    free: isFree(record),
    ...(record.belongs_to_type && { belongs_to_type: record.belongs_to_type }),
    ...(record.belongs_to_uuid && { belongs_to_uuid: record.belongs_to_uuid }),
    ...(record.owner_uuid && { owner_uuid: record.owner_uuid }),
  };
}

/** Puts a record on a condition. */
export function putIp(
  networkUuid: string,
  record: IpRecord,
  etag: EtagCondition,
): BatchRequest {
  return {
    bucket: ipBucket(networkUuid),
    key: record.ipaddr,
    value: record,
    options: { etag },
  };
}
