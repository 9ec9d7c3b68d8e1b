// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a batch that fails leaves a part of itself, or its
 * requests do not see those before them.
 */

import type { Test } from 'tape';
import type { BatchRequest, JournalEvent, Store } from '#lib/store/types.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const event = (id: string): JournalEvent => ({
  resource: 'aip',
  subResources: ['create'],
  id,
  object: { id },
});

async function store(t: Test): Promise<Store> {
  const made = await temporaryStore(t);
  for (const name of ['aips', 'nics']) {
    await made.createBucket(name, {
      index: {
        n: { type: 'number' },
        ip: { type: 'ip', unique: true },
      },
    });
  }
  return made;
}

onEachEngine('requests run in order and see those before them', async (t) => {
  const s = await store(t);
  await s.putObject('aips', 'old', { n: 1, ip: '10.0.0.1' });
  const result = await s.batch(
    [
      { bucket: 'aips', key: 'a', value: { n: 1 }, options: { etag: null } },
      {
        operation: 'update',
        bucket: 'aips',
        filter: '(n=1)',
        fields: { n: 2 },
      },
      { operation: 'delete', bucket: 'aips', key: 'old' },
      { bucket: 'nics', key: 'x', value: { ip: '10.0.0.2' } },
      { bucket: 'aips', key: 'new', value: { n: 5, ip: '10.0.0.1' } },
      { operation: 'deleteMany', bucket: 'aips', filter: '(n>=5)' },
    ],
    [event('a'), event('b')],
  );
  const shape = result.etags.map(({ key, filter, count }) => [
    key ?? filter,
    count,
  ]);
  t.deepEqual(shape, [
    ['a', undefined],
    ['(n=1)', 2],
    ['old', undefined],
    ['x', undefined],
    ['new', undefined],
    ['(n>=5)', 1],
  ]);
  t.equal(result.position, 2);
  const found = await s.findObjects('aips', '(_id>=0)');
  t.deepEqual(
    found.objects.map(({ key, value }) => [key, value]),
    [['a', { n: 2 }]],
  );
  t.equal(found.objects[0]?._etag, result.etags[1]?.etag);
});

onEachEngine(
  'the first error undoes all, events and ids included',
  async (t) => {
    const s = await store(t);
    await s.putObject('aips', 'one', { ip: '10.0.0.1' });
    const last: [BatchRequest, 'EtagConflictError' | 'UniqueAttributeError'][] =
      [
        [
          { bucket: 'aips', key: 'one', value: {}, options: { etag: null } },
          'EtagConflictError',
        ],
        [
          { bucket: 'aips', key: 'two', value: { ip: '10.0.0.1' } },
          'UniqueAttributeError',
        ],
      ];
    for (const [request, name] of last) {
      const good: BatchRequest[] = [
        { bucket: 'nics', key: 'x', value: { n: 1 } },
        { operation: 'deleteMany', bucket: 'nics', filter: '(n=7)' },
      ];
      await storeFails(
        t,
        s.batch([...good, request], [event('e')]),
        name,
        name,
      );
    }
    t.equal((await s.findObjects('nics', '(_id>=0)')).count, 0);
    t.equal(s.journal.position(), 0);
    await s.putObject('nics', 'y', {});
    t.equal((await s.getObject('nics', 'y'))._id, 1);
  },
);

onEachEngine(
  'batches at the same time do not see each other half',
  async (t) => {
    const s = await store(t);
    await s.batch([
      { bucket: 'aips', key: 'left', value: { n: 50 } },
      { bucket: 'aips', key: 'right', value: { n: 50 } },
    ]);
    async function move(by: number): Promise<void> {
      for (let tries = 0; tries < 500; tries += 1) {
        const left = await s.getObject('aips', 'left');
        const right = await s.getObject('aips', 'right');
        const put = (key: string, n: number, etag: string): BatchRequest => ({
          bucket: 'aips',
          key,
          value: { n },
          options: { etag },
        });
        try {
          await s.batch(
            [
              put('left', Number(left.value['n']) - by, left._etag),
              put('right', Number(right.value['n']) + by, right._etag),
            ],
            [event(String(by))],
          );
          return;
        } catch (error) {
          if ((error as Error).name !== 'EtagConflictError') throw error;
        }
      }
      throw new Error('never got through');
    }
    const watch = async () => {
      const found = await s.findObjects('aips', '(n=*)');
      return found.objects.reduce(
        (sum, { value }) => sum + Number(value['n']),
        0,
      );
    };
    const moves = Array.from({ length: 30 }, (_, i) => move(i));
    const sums = await Promise.all(Array.from({ length: 50 }, watch));
    await Promise.all(moves);
    t.deepEqual([...new Set(sums)], [100], 'every find sees whole batches');
    t.equal((await s.getObject('aips', 'right')).value['n'], 50 + 435);
    t.equal(s.journal.position(), 30);
  },
);

onEachEngine('an unknown bucket or operation is refused', async (t) => {
  const s = await store(t);
  await storeFails(
    t,
    s.batch([{ bucket: 'none', key: 'a', value: {} }]),
    'BucketNotFoundError',
    'bucket',
  );
  const odd = { operation: 'patch', bucket: 'aips' } as unknown;
  try {
    await s.batch([odd as BatchRequest]);
    t.fail('it was accepted');
  } catch (error) {
    t.match(String(error), /unknown operation "patch"/);
  }
  t.deepEqual(await s.batch([]), { etags: [], position: 0 });
});
