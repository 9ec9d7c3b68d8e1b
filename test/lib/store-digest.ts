// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Everything that a store holds, in one short text. */

import { createHash } from 'node:crypto';
import type { Store } from '#lib/store/types.js';

/** Leases are renewed all the time, whatever clients do. */
const LEASES = 'store_leases';

/** The same text for the same objects and events. */
export async function storeDigest(store: Store): Promise<string> {
  const hash = createHash('sha256');
  const buckets = (await store.listBuckets())
    .map(({ name }) => name)
    .filter((name) => name !== LEASES)
    .sort();
  for (const bucket of buckets) {
    const { objects } = await store.findObjects(bucket, '(_id>=0)', {
      noLimit: true,
      noCount: true,
    });
    const rows = objects.map(({ key, _etag }) => `${key} ${_etag}`).sort();
    hash.update(`${bucket}\n${rows.join('\n')}\n`);
  }
  return `${hash.digest('hex')} ${store.journal.position()}`;
}
