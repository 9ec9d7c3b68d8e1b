// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a trigger that is left out, runs outside of the
 * transaction of its write, or leaves something of a write that failed.
 */

import type { Test } from 'tape';
import type { BucketTriggers, Done } from '#lib/store/trigger.js';
import type { Store } from '#lib/store/types.js';
import { onEachEngine, reopenable, storeFails } from '#test/tmp-store.js';

/** A store with two buckets, the first of which has triggers. */
async function store(t: Test, triggers: BucketTriggers[string]) {
  const open = await reopenable(t);
  const made = await open({ triggers: { people: triggers } });
  t.teardown(() => made.close());
  const index = {
    email: { type: 'string' as const, unique: true },
    n: { type: 'number' as const },
  };
  await made.createBucket('people', { index });
  await made.createBucket('log', { index: {} });
  return made;
}

async function logged(s: Store): Promise<unknown[]> {
  const { objects } = await s.findObjects('log', '(_id>=0)');
  return objects.map(({ key, value }) => [key, value['what']]);
}

/** Writes a line of what was done, under a key of its own. */
const writeLine: NonNullable<BucketTriggers[string]['post']>[number] = async (
  { bucket, key, id, value, update },
  target,
) => {
  const what = `${bucket} ${value === null ? 'gone' : value['n']} ${id}`;
  const line = JSON.stringify({ what: update ? `${what} again` : what });
  await target.put('log', `${key}${value?.['n'] ?? ''}`, line, null);
};

onEachEngine('pre triggers change what is put, in order', async (t) => {
  const s = await store(t, {
    pre: [
      (put) => {
        put.value['email'] = `${put.key}@example.com`;
      },
      async (put) => {
        put.value = { ...put.value, n: String(put.value['email']).length };
      },
    ],
  });
  const { etag } = await s.putObject('people', 'ann', { email: 'x', keep: 1 });
  const got = await s.getObject('people', 'ann');
  t.deepEqual(got.value, { email: 'ann@example.com', keep: 1, n: 15 });
  t.equal(got._etag, etag, 'the etag is that of what was written');
  t.equal((await s.findObjects('people', '(n=15)')).count, 1, 'indexed');
  await s.batch([{ bucket: 'people', key: 'bo', value: {} }]);
  t.equal((await s.getObject('people', 'bo')).value['n'], 14, 'in a batch');
  await s.putObject('log', 'ann', {});
  t.deepEqual((await s.getObject('log', 'ann')).value, {}, 'of its bucket');
});

onEachEngine('post triggers follow puts and deletes', async (t) => {
  const s = await store(t, { post: [writeLine] });
  await s.putObject('people', 'a', { n: 1 });
  await s.batch([
    { bucket: 'people', key: 'b', value: { n: 2 } },
    { bucket: 'people', key: 'a', value: { n: 3 } },
    { operation: 'delete', bucket: 'people', key: 'b' },
  ]);
  await s.delObject('people', 'a');
  const lines = [
    ['a1', 'people 1 1'],
    ['b2', 'people 2 2'],
    ['a3', 'people 3 1 again'],
    ['b', 'people gone 2 again'],
    ['a', 'people gone 1 again'],
  ];
  t.deepEqual(await logged(s), lines);
  await s.putObject('people', 'c', { n: 5 });
  await s.updateObjects('people', { n: 6 }, '(n=5)');
  await s.deleteMany('people', '(n=6)');
  t.equal((await logged(s)).length, lines.length + 1, 'not by filters');
});

onEachEngine('what a trigger throws refuses all of a batch', async (t) => {
  const s = await store(t, {
    pre: [
      ({ value }) => {
        if (value['n'] === 13) throw new Error('no 13');
      },
    ],
    post: [
      writeLine,
      ({ value }) => {
        if (value?.['n'] === 14) throw new Error('no 14');
      },
    ],
  });
  for (const n of [13, 14]) {
    const batch = s.batch(
      [
        { bucket: 'people', key: 'a', value: { n: 1 } },
        { operation: 'deleteMany', bucket: 'people', filter: '(n=99)' },
        { bucket: 'people', key: 'b', value: { n } },
      ],
      [{ resource: 'r', subResources: [], id: 'x', object: null }],
    );
    await batch.then(
      () => t.fail('it was written'),
      (error: unknown) => t.match(String(error), new RegExp(`no ${n}`)),
    );
  }
  t.equal((await s.findObjects('people', '(_id>=0)')).count, 0);
  t.deepEqual(await logged(s), [], 'nor what other triggers wrote');
  t.equal(s.journal.position(), 0);
});

onEachEngine('a write that fails has no post trigger', async (t) => {
  const done: Done[] = [];
  const s = await store(t, {
    post: [(each) => void done.push(each), writeLine],
  });
  const put = (key: string, value: object, etag?: null) =>
    s.putObject('people', key, value, etag === null ? { etag } : {});
  await put('a', { email: 'x' });
  await storeFails(t, put('b', { email: 'x' }), 'UniqueAttributeError', 'b');
  await storeFails(t, put('a', {}, null), 'EtagConflictError', 'a');
  await storeFails(
    t,
    s.delObject('people', 'c'),
    'ObjectNotFoundError',
    'nothing to delete',
  );
  // What the trigger itself cannot write refuses the write, too.
  await storeFails(t, put('a', {}), 'EtagConflictError', 'the same line');
  t.deepEqual((await s.getObject('people', 'a')).value, { email: 'x' });
  t.equal((await logged(s)).length, 1);
  t.equal(done[0]?.id, 1);
});
