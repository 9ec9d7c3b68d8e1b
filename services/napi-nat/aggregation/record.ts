// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A link aggregation of a server as stored and as shown (facts: triton-napi
 * 6.4, 9.1).
 */

import { formatMac, mac } from '#lib/net/mac.js';
import type { BucketConfig, JournalEvent } from '#lib/store/types.js';
import { etagOfRecord } from '../etag.js';

export const AGGREGATION_BUCKET = 'napi_aggregations';
export const LACP_MODES = ['off', 'active', 'passive'] as const;

/** What changefeed listeners may ask to hear of aggregations. */
export const AGGREGATION_CHANGES = ['create', 'delete', 'lacp_mode'];

export interface AggregationRecord {
  /** `<belongs_to_uuid>-<name>`, also the key. */
  id: string;
  belongs_to_uuid: string;
  name: string;
  lacp_mode: (typeof LACP_MODES)[number];
  macs: number[];
  nic_tags_provided?: string[];
}

export const aggregationBuckets: Record<string, BucketConfig> = {
  [AGGREGATION_BUCKET]: {
    index: {
      id: { type: 'string', unique: true },
      belongs_to_uuid: { type: 'string' },
      macs: { type: '[number]' },
      nic_tags_provided: { type: '[string]' },
    },
  },
};

/** What clients see. */
export function serializeAggregation(
  record: AggregationRecord,
): Record<string, unknown> {
  const { nic_tags_provided: tags } = record;
  return {
    belongs_to_uuid: record.belongs_to_uuid,
    id: record.id,
    lacp_mode: record.lacp_mode,
    name: record.name,
    macs: record.macs.map((each) => formatMac(mac(each))),
    ...(tags && { nic_tags_provided: tags }),
  };
}

/** The event of an aggregation that was made, changed or removed. */
export function aggregationEvent(
  record: AggregationRecord,
  change: 'create' | 'delete' | 'lacp_mode',
): JournalEvent {
  const gone = change === 'delete';
  return {
    resource: 'aggregation',
    subResources: [change],
    id: record.id,
    object: gone ? null : serializeAggregation(record),
    extra: {
      belongs_to_uuid: record.belongs_to_uuid,
      name: record.name,
      ...(!gone && { etag: etagOfRecord(record) }),
    },
  };
}
