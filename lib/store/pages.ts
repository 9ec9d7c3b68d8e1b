// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** All of a bucket, some objects at a time: memory for one page of it. */

import type { Store, StoredObject } from './types.js';

const PAGE = 500;

/**
 * Reads a bucket in the order of `_id`, each page as of its own moment. What
 * is there all the while is given once; what is made, changed or deleted
 * meanwhile is given as it was before or after.
 */
export async function* objectPages<T = Record<string, unknown>>(
  store: Pick<Store, 'findObjects'>,
  bucket: string,
): AsyncGenerator<StoredObject<T>[]> {
  for (let from = 0; ; ) {
    const { objects } = await store.findObjects<T>(bucket, `(_id>=${from})`, {
      sort: { attribute: '_id' },
      limit: PAGE,
      noCount: true,
    });
    const last = objects.at(-1);
    if (last === undefined) return;
    yield objects;
    from = last._id + 1;
  }
}
