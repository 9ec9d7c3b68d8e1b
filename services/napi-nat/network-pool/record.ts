// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A network pool as stored and as shown (facts: triton-napi 6.2, 9.1). */

import type { Family } from '#lib/net/ip.js';
import type { BucketConfig } from '#lib/store/types.js';

export const POOL_BUCKET = 'napi_network_pools';

export interface PoolRecord {
  uuid: string;
  name: string;
  family: Family;
  /** Sorted. */
  networks: string[];
  description?: string;
  owner_uuids?: string[];
  v: 1;
}

export const poolBuckets: Record<string, BucketConfig> = {
  [POOL_BUCKET]: {
    index: {
      uuid: { type: 'string', unique: true },
      name: { type: 'string' },
      family: { type: 'string' },
      networks: { type: '[string]' },
      owner_uuids: { type: '[string]' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/**
 * What clients see.
 * @param tags NIC tags of its networks
 */
export function serializePool(
  pool: PoolRecord,
  tags: readonly string[],
): Record<string, unknown> {
  const present = [...new Set(tags)].sort();
  const { description, owner_uuids: owners } = pool;
  return {
    family: pool.family,
    uuid: pool.uuid,
    name: pool.name,
    ...(description && { description }),
    networks: pool.networks,
    nic_tags_present: present,
    ...(present.length > 0 && { nic_tag: present[0] }),
    ...(owners && { owner_uuids: owners }),
  };
}
