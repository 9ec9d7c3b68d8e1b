// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A customer's fabric and its VLANs as stored and as shown (facts: triton-napi
 * 4.1, 4.2, 9.1), and the address spaces that networks must not overlap in.
 */

import type { BucketConfig } from '#lib/store/types.js';

export const FABRIC_BUCKET = 'napi_fabrics';
export const VLAN_BUCKET = 'napi_fabric_vlans';
export const SPACE_BUCKET = 'napi_address_spaces';

/** Key: the owner. One for each owner, made with the first VLAN, kept. */
export interface FabricRecord {
  owner_uuid: string;
  vnet_id: number;
}

/** Key `<owner>:<vlan>`. */
export interface VlanRecord {
  owner_uuid: string;
  vlan_id: number;
  vnet_id: number;
  name?: string;
  description?: string;
  v: 0;
}

/**
 * Key `vnet-<id>`, or `physical` for networks that are not fabrics. Whoever
 * adds a network to a space advances its generation in the same batch: of two
 * that looked for overlaps at the same time, one is refused and looks again.
 */
export interface SpaceRecord {
  generation: number;
}

export const fabricBuckets: Record<string, BucketConfig> = {
  [FABRIC_BUCKET]: {
    index: { vnet_id: { type: 'number', unique: true } },
  },
  [VLAN_BUCKET]: {
    index: {
      owner_uuid: { type: 'string' },
      vlan_id: { type: 'number' },
      vnet_id: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 0 },
  },
  [SPACE_BUCKET]: { index: { generation: { type: 'number' } } },
};

/** What may be asked for in `fields`. */
export const VLAN_FIELDS = [
  'description',
  'name',
  'owner_uuid',
  'vlan_id',
  'vnet_id',
];

/** The key of a VLAN. */
export function vlanKey(owner: string, vlanId: number): string {
  return `${owner}:${vlanId}`;
}

/** What clients see. */
export function serializeVlan(record: VlanRecord): Record<string, unknown> {
  return {
    ...(record.name !== undefined && { name: record.name }),
    ...(record.description && { description: record.description }),
    owner_uuid: record.owner_uuid,
    vlan_id: record.vlan_id,
    vnet_id: record.vnet_id,
  };
}
