// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: pages that nobody counts leave something out, give it twice
 * or differ from the whole list, wherever they begin and however it is sorted.
 */

import type { Test } from 'tape';
import type { FindOptions, SortSpec, Store } from '#lib/store/types.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const COUNT = 700;

async function filled(t: Test): Promise<Store> {
  const store = await temporaryStore(t);
  await store.createBucket('aips', {
    index: {
      created: { type: 'number' },
      owner: { type: 'string' },
      name: { type: 'string' },
    },
  });
  await store.batch(
    Array.from({ length: COUNT }, (_, i) => ({
      bucket: 'aips',
      key: `k${(i * 7919) % COUNT}`,
      value: {
        // Many at one time, in another order than their ids; some without.
        ...(i % 50 === 3 ? {} : { created: (i * 31) % 90 }),
        // All of one owner are at the far end of the order.
        owner: (i * 31) % 90 > 87 ? 'rare' : `o${i % 3}`,
        name: `n${i % 11}`,
        note: i % 2,
      },
    })),
  );
  return store;
}

const sorts: (SortSpec[] | undefined)[] = [
  undefined,
  [{ attribute: 'created' }],
  [{ attribute: 'created' }, { attribute: '_key' }],
  [{ attribute: 'created', order: 'DESC' }, { attribute: 'name' }],
  [{ attribute: 'name' }, { attribute: 'created', order: 'DESC' }],
  [{ attribute: '_id' }],
  [{ attribute: '_key' }],
  [{ attribute: '_mtime' }, { attribute: '_id', order: 'DESC' }],
];
const filters = [
  '(created>=0)',
  '(created>=40)',
  '(&(created>=20)(created>=70))',
  '(&(created>=30)(|(created>=31)(&(created=30)(owner>=o2))))',
  '(&(created=12)(name=*))',
  '(&(created>=0)(owner=rare))',
  '(&(_id>=300)(note=1))',
  '(|(created<=3)(!(created=*)))',
  '(&(owner=o1)(note=0))',
  '(name=none)',
];
const cuts = [
  { limit: 1 },
  { limit: 20, offset: 30 },
  { limit: 250, offset: 5 },
  { limit: 1000 },
  { limit: 5, offset: 5000 },
];

onEachEngine('a page is what the whole list has there', async (t) => {
  const store = await filled(t);
  const keys = async (filter: string, options: FindOptions) => {
    const found = await store.findObjects('aips', filter, options);
    return found.objects.map(({ key }) => key);
  };
  for (const filter of filters) {
    for (const sort of sorts) {
      const order = sort === undefined ? {} : { sort };
      const all = await keys(filter, { ...order, noLimit: true });
      const wrong: object[] = [];
      for (const { limit, offset = 0 } of cuts) {
        const page = { ...order, limit, offset, noCount: true };
        const got = (await keys(filter, page)).join();
        const wanted = all.slice(offset, offset + limit).join();
        if (got !== wanted) wrong.push({ limit, offset, got, wanted });
      }
      t.deepEqual(wrong, [], `${filter} by ${JSON.stringify(sort)}`);
    }
  }
});

onEachEngine('requireIndexes refuses what is only checked', async (t) => {
  const store = await filled(t);
  const find = (filter: string) =>
    store.findObjects('aips', filter, { requireIndexes: true, limit: 1 });
  const good = '(&(owner=o1)(!(|(name=n1)(created=*)))(_id>=0))';
  await find(good);
  for (const filter of ['(&(owner=o1)(note=1))', '(&(owner=o1)(!(note=*)))']) {
    const error = await storeFails(t, find(filter), 'NotIndexedError', filter);
    t.equal(error.context['field'], 'note');
  }
});
