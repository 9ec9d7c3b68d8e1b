// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Every bucket of napi-nat; each noun declares its own. */

import type { BucketConfig, Store } from '#lib/store/types.js';
import { aggregationBuckets } from './aggregation/record.js';
import { accountBuckets } from './aip/account.js';
import { auditBuckets } from './aip/audit.js';
import { onceBuckets } from './aip/once.js';
import { aipBuckets } from './aip/record.js';
import { fabricBuckets } from './fabric/record.js';
import { jobBuckets } from './nat-reform/convert/record.js';
import { ledgerBuckets } from './nat-reform/ledger.js';
import { networkBuckets } from './network/record.js';
import { poolBuckets } from './network-pool/record.js';
import { nicBuckets } from './nic/record.js';
import { nicTagBuckets } from './nic-tag/record.js';
import { publicBuckets } from './public/record.js';
import { ul3Buckets } from './ul3/records.js';
import { zoneBuckets } from './zone/record.js';

/**
 * The buckets that exist from the start. A network's addresses have a bucket
 * of their own, made with the network.
 */
export const buckets: Record<string, BucketConfig> = {
  ...networkBuckets,
  ...poolBuckets,
  ...aggregationBuckets,
  ...nicBuckets,
  ...nicTagBuckets,
  ...fabricBuckets,
  ...ul3Buckets,
  ...aipBuckets,
  ...accountBuckets,
  ...auditBuckets,
  ...onceBuckets,
  ...zoneBuckets,
  ...publicBuckets,
  ...ledgerBuckets,
  ...jobBuckets,
};

/** Objects whose new indexes are built in one go. */
const REINDEX_PAGE = 500;

/**
 * Makes the buckets that are missing and brings older ones up to date: when a
 * new version has more indexes, they are built before anything is served.
 */
export async function prepareBuckets(store: Store): Promise<void> {
  for (const [name, config] of Object.entries(buckets)) {
    await store.putBucket(name, config);
    while ((await store.getBucket(name)).reindex_active.length > 0) {
      await store.reindexObjects(name, REINDEX_PAGE);
    }
  }
}
