// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A NIC tag as stored and as shown (facts: triton-napi 6.3, 9.1). */

import type { BucketConfig } from '#lib/store/types.js';

export const NIC_TAG_BUCKET = 'napi_nic_tags';
export const DEFAULT_MTU = 1500;

export interface NicTagRecord {
  name: string;
  uuid: string;
  mtu: number;
  v: 1;
}

export const nicTagBuckets: Record<string, BucketConfig> = {
  [NIC_TAG_BUCKET]: {
    index: {
      name: { type: 'string', unique: true },
      uuid: { type: 'string', unique: true },
      mtu: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** What clients see. */
export function serializeNicTag(record: NicTagRecord): {
  mtu: number;
  name: string;
  uuid: string;
} {
  return { mtu: record.mtu, name: record.name, uuid: record.uuid };
}
