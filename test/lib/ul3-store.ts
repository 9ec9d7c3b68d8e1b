// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A store with the buckets of UL3 mappings, and UUIDs that count up. */

import type { Store } from '#lib/store/types.js';
import { ul3Buckets } from '../../services/napi-nat/ul3/records.js';

/**
 * Makes the buckets.
 * @returns what functions of `ul3/` take as their context
 */
export async function ul3Context(
  store: Store,
): Promise<{ store: Store; uuid: () => string }> {
  for (const [name, config] of Object.entries(ul3Buckets)) {
    await store.putBucket(name, config);
  }
  let ids = 0;
  return {
    store,
    uuid: () => `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`,
  };
}
