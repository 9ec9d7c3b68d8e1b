// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: buckets cannot grow an index without losing finds, or a
 * dropped bucket's objects come back.
 */

import type { BucketConfig } from '#lib/store/types.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const v1: BucketConfig = {
  index: { a: { type: 'string' } },
  options: { version: 1 },
};

onEachEngine('create, describe, list and delete', async (t) => {
  const s = await temporaryStore(t);
  await s.createBucket('one', v1);
  await storeFails(
    t,
    s.createBucket('one', v1),
    'BucketConflictError',
    'twice',
  );
  const info = await s.getBucket('one');
  t.deepEqual([info.index, info.options], [v1.index, { version: 1 }]);
  await s.createBucket('two', { index: {} });
  t.deepEqual(
    (await s.listBuckets()).map(({ name }) => name),
    ['one', 'two'],
  );
  await s.putObject('one', 'k', { a: 'x' });
  await s.deleteBucket('one');
  await storeFails(t, s.getBucket('one'), 'BucketNotFoundError', 'deleted');
  await storeFails(t, s.deleteBucket('one'), 'BucketNotFoundError', 'twice');
  await s.createBucket('one', v1);
  t.equal((await s.findObjects('one', '(a=*)')).count, 0, 'empty again');
  await storeFails(t, s.getObject('one', 'k'), 'ObjectNotFoundError', 'gone');
});

onEachEngine('names and indexes that cannot be', async (t) => {
  const s = await temporaryStore(t);
  for (const name of ['', '1a', 'a-b', 'moray', 'search', 'x'.repeat(64)]) {
    await storeFails(
      t,
      s.createBucket(name, v1),
      'InvalidBucketNameError',
      name,
    );
  }
  const bad: BucketConfig['index'][] = [
    { _id: { type: 'number' } },
    { moray_x: { type: 'number' } },
    { end_: { type: 'number' } },
    { 'a b': { type: 'number' } },
    { a: { type: 'text' as 'string' } },
    { a: { type: '[string]', unique: true } },
  ];
  for (const index of bad) {
    await storeFails(
      t,
      s.createBucket('fine', { index }),
      'InvalidBucketConfigError',
      JSON.stringify(index),
    );
  }
});

onEachEngine(
  'putBucket creates, updates by version, else does nothing',
  async (t) => {
    const s = await temporaryStore(t);
    await s.putBucket('one', v1);
    await s.putBucket('one', { ...v1, index: { b: { type: 'number' } } });
    t.deepEqual((await s.getBucket('one')).index, v1.index, 'same version');
    const index = {
      a: { type: 'string' as const },
      b: { type: 'ip' as const },
    };
    await s.putBucket('one', { index, options: { version: 2 } });
    t.deepEqual((await s.getBucket('one')).index, index);
    await storeFails(
      t,
      s.updateBucket('one', { index, options: { version: 2 } }),
      'BucketVersionError',
      'not newer',
    );
  },
);

onEachEngine('an added index serves finds after reindexing', async (t) => {
  const s = await temporaryStore(t);
  await s.createBucket('one', v1);
  for (let i = 0; i < 25; i += 1) {
    await s.putObject('one', `k${i}`, { a: 'x', b: i, c: 'y' });
  }
  const before = await s.getObject('one', 'k3');
  await s.updateBucket('one', {
    index: { a: { type: 'string' }, b: { type: 'number', unique: true } },
    options: { version: 2 },
  });
  t.deepEqual((await s.getBucket('one')).reindex_active, ['b']);
  await storeFails(t, s.findObjects('one', '(b=3)'), 'NotIndexedError', 'yet');
  t.equal((await s.findObjects('one', '(&(a=x)(b>=20))')).count, 5);
  await s.putObject('one', 'k24', { a: 'x', b: 124 });
  await s.putObject('one', 'new', { a: 'x', b: 99 });
  await s.delObject('one', 'k0');
  const first = await s.reindexObjects('one', 10);
  t.deepEqual(first, { processed: 10, remaining: 15 });
  let rounds = 0;
  while ((await s.reindexObjects('one', 10)).processed > 0) rounds += 1;
  t.equal(rounds, 2);
  t.deepEqual((await s.getBucket('one')).reindex_active, []);
  t.equal((await s.findObjects('one', '(b=*)')).count, 25);
  t.equal((await s.findObjects('one', '(b>=99)')).count, 2);
  t.equal((await s.findObjects('one', '(b=24)')).count, 0, 'no stale entry');
  await storeFails(
    t,
    s.putObject('one', 'dup', { b: 3 }),
    'UniqueAttributeError',
    'unique after reindexing',
  );
  t.deepEqual(await s.getObject('one', 'k3'), before, 'objects as they were');
});

onEachEngine(
  'a removed index goes, and comes back without its old entries',
  async (t) => {
    const s = await temporaryStore(t);
    await s.createBucket('one', v1);
    await s.putObject('one', 'k', { a: 'old' });
    await s.updateBucket('one', { index: {}, options: { version: 2 } });
    await storeFails(
      t,
      s.findObjects('one', '(a=old)'),
      'NotIndexedError',
      'a',
    );
    await s.putObject('one', 'k', { a: 'new' });
    await s.updateBucket('one', { ...v1, options: { version: 3 } });
    await s.reindexObjects('one', 100);
    t.equal((await s.findObjects('one', '(a=*)')).count, 1);
    t.equal((await s.findObjects('one', '(a=old)')).count, 0);
  },
);

onEachEngine(
  'an index of another type leaves out what is not of it',
  async (t) => {
    const s = await temporaryStore(t);
    await s.createBucket('one', v1);
    await s.putObject('one', 'k', { a: 'word' });
    await s.putObject('one', 'l', { a: '5' });
    const index = { a: { type: 'number' as const } };
    await s.updateBucket('one', { index, options: { version: 2 } });
    t.deepEqual(await s.reindexObjects('one', 100), {
      processed: 2,
      remaining: 0,
    });
    t.equal((await s.findObjects('one', '(a>=0)')).count, 1);
    await s.putObject('one', 'k', { a: 6 });
    t.equal((await s.findObjects('one', '(a>=0)')).count, 2);
    await s.delObject('one', 'k');
    t.equal((await s.findObjects('one', '(|(a=*)(!(a=*)))')).count, 1);
  },
);
