// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Writing all of one store into another, engine by engine: objects with their
 * ids, etags and times, buckets with their versions, and the journal with its
 * positions, so that zones and listeners go on where they were.
 */

import { objectPages } from './pages.js';
import type { JournalEntry, Store } from './types.js';

const PAGE = 500;

export interface Copied {
  buckets: number;
  objects: number;
  entries: number;
}

/**
 * Neither store may change meanwhile. Until all is there `to` is marked as
 * unfinished: it opens for nothing but another copy, which begins anew.
 * @throws Error when `to` has anything in it, or when `from` changed
 */
export async function copyStore(from: Store, to: Store): Promise<Copied> {
  const some = await to.listBuckets();
  if (some.length > 0 || to.journal.position() > 0) {
    throw new Error('the store to write to is not empty');
  }
  const position = from.journal.position();
  await to.restore({ unfinished: true });
  const buckets = await from.listBuckets();
  let objects = 0;
  for (const { name, index, options } of buckets) {
    await to.createBucket(name, { index, ...(options ? { options } : {}) });
    for await (const page of objectPages(from, name)) {
      await to.restore({ objects: page });
      objects += page.length;
    }
  }
  const horizon = from.journal.horizon();
  await to.restore({ horizon });
  let entries = 0;
  for (let seq = horizon; seq < from.journal.position(); ) {
    const page: JournalEntry[] = await from.journal.read(seq, PAGE);
    const last = page.at(-1);
    if (last === undefined) break;
    await to.restore({ entries: page });
    entries += page.length;
    seq = last.seq;
  }
  if (from.journal.position() !== position) {
    throw new Error('the store to read from changed while it was copied');
  }
  await to.restore({ unfinished: false });
  return { buckets: buckets.length, objects, entries };
}
