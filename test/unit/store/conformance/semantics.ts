// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: what a client of moray relies on and no other test here
 * names (facts: triton-napi 9.2): reserved names, the content of an etag,
 * internal fields, orders of several fields, limits of updates, one moment for
 * all that a find gives.
 */

import { crc32 } from 'node:zlib';
import type { Test } from 'tape';
import type { FindOptions, Store } from '#lib/store/types.js';
import { manualClock } from '#test/manual-clock.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const clock = manualClock();
const INDEX = {
  name: { type: 'string' as const },
  n: { type: 'number' as const },
};

async function filled(t: Test): Promise<Store> {
  const store = await temporaryStore(t, clock);
  await store.createBucket('things', { index: INDEX });
  for (const [key, value] of Object.entries({
    a: { name: 'x', n: 2, note: 'here' },
    b: { name: 'y', n: 1, note: 5 },
    c: { name: 'x', n: 1 },
    d: { n: 3 },
  })) {
    await store.putObject('things', key, value);
    clock.advance(10);
  }
  return store;
}

async function keys(store: Store, filter: string, options: FindOptions = {}) {
  const { objects } = await store.findObjects('things', filter, options);
  return objects.map(({ key }) => key).join(' ');
}

onEachEngine('names that moray keeps for itself', async (t) => {
  const s = await temporaryStore(t);
  for (const name of ['buckets_config', 'moray', 'search', '_a', 'a.b', 'é']) {
    const made = s.createBucket(name, { index: {} });
    await storeFails(t, made, 'InvalidBucketNameError', name);
  }
  const own = '_id _idx _key _etag _atime _ctime _mtime _rver _txn_snap _value';
  for (const field of `${own} _vnode moray moray_a a_`.split(' ')) {
    const index = { [field]: { type: 'string' as const } };
    const made = s.createBucket('fine', { index });
    await storeFails(t, made, 'InvalidBucketConfigError', field);
  }
  await s.createBucket('a'.repeat(63), { index: {} });
});

onEachEngine('a bucket without a version takes any', async (t) => {
  const s = await temporaryStore(t);
  await s.createBucket('things', { index: {} });
  await s.updateBucket('things', { index: INDEX });
  await s.updateBucket('things', { index: {}, options: { version: 2 } });
  const older = s.updateBucket('things', { index: INDEX });
  await storeFails(t, older, 'BucketVersionError', 'from 2 to none');
});

onEachEngine('an etag is the CRC32 of the JSON text', async (t) => {
  const s = await filled(t);
  const value = { name: 'é', list: [1, { a: null }] };
  const { etag } = await s.putObject('things', 'e', value);
  const crc = crc32(JSON.stringify(value)).toString(16).padStart(8, '0');
  t.equal(etag, crc);
  await s.putObject('things', 'f', value);
  t.equal((await s.getObject('things', 'f'))._etag, etag, 'of any object');
});

onEachEngine('internal fields in filters', async (t) => {
  const s = await filled(t);
  const { _etag, _mtime } = await s.getObject('things', 'b');
  const cases: [string, string][] = [
    [`(_mtime=${_mtime})`, 'b'],
    [`(_mtime>=${_mtime})`, 'b c d'],
    ['(_mtime>=9)', 'a b c d'],
    [`(&(n=1)(_mtime<=${_mtime}))`, 'b'],
    [`(_etag=${_etag})`, 'b'],
    ['(_key>=c)', 'c d'],
    ['(_key=*)', 'a b c d'],
    ['(_id<=2)', 'a b'],
    ['(_txn_snap=*)', ''],
    ['(&(n=1)(!(_txn_snap>=0)))', 'b c'],
  ];
  for (const [filter, wanted] of cases) {
    t.equal(await keys(s, filter), wanted, filter);
  }
});

onEachEngine('terms without an index are matched as text', async (t) => {
  const s = await filled(t);
  t.equal(await keys(s, '(&(n>=1)(note=5))'), 'b');
  t.equal(await keys(s, '(&(n>=1)(note=h*e))'), 'a');
  t.equal(await keys(s, '(&(n>=1)(!(note=*)))'), 'c d');
  const strict = { requireIndexes: true };
  await storeFails(
    t,
    s.findObjects('things', '(&(n>=1)(!(note=*)))', strict),
    'NotIndexedError',
    'when all must have one',
  );
  t.equal(await keys(s, '(&(n=1)(|(name=x)(_key=b)))', strict), 'b c');
});

onEachEngine('filters that moray refuses', async (t) => {
  const s = await filled(t);
  const wrong = ['(n~=1)', '(n:approxMatch:=1)', '(n=1', 'n', '', '()', '(&)'];
  for (const filter of [...wrong, '(name=a(b)', '(n>=1*)', '(n<1)']) {
    const find = s.findObjects('things', filter);
    await storeFails(t, find, 'InvalidQueryError', filter);
  }
});

onEachEngine('orders of several fields, and internal ones', async (t) => {
  const s = await filled(t);
  const by = (...words: string[]): FindOptions => ({
    sort: words.map((word) =>
      word.startsWith('-')
        ? { attribute: word.slice(1), order: 'DESC' }
        : { attribute: word },
    ),
  });
  const cases: [string[], string][] = [
    [['name', 'n'], 'c a b d'],
    [['name', '-n'], 'a c b d'],
    [['-name', 'n'], 'd b c a'],
    [['n', '-_id'], 'c b a d'],
    [['-_mtime'], 'd c b a'],
    [['-_key'], 'd c b a'],
    [[], 'a b c d'],
  ];
  for (const [words, wanted] of cases) {
    t.equal(await keys(s, '(n>=0)', by(...words)), wanted, words.join(', '));
  }
});

onEachEngine('an update changes 1000 at most, with one time', async (t) => {
  const s = await temporaryStore(t, clock);
  await s.createBucket('things', { index: INDEX });
  await s.batch(
    Array.from({ length: 1002 }, (_, i) => ({
      bucket: 'things',
      key: `k${i}`,
      value: { n: 0, i },
    })),
  );
  clock.advance(10);
  const { count, etag } = await s.updateObjects('things', { n: 1 }, '(n=0)');
  t.equal(count, 1000);
  const now = `(&(_etag=${etag})(_mtime=${clock.now()})(n=1))`;
  t.equal((await s.findObjects('things', now)).count, 1000);
  t.equal((await s.findObjects('things', '(n=0)')).count, 2);
});

onEachEngine('a find sees one moment', async (t) => {
  const s = await temporaryStore(t);
  await s.createBucket('things', { index: INDEX });
  // More than are fetched at once.
  const count = 1200;
  const write = (n: number) =>
    s.batch(
      Array.from({ length: count }, (_, i) => ({
        bucket: 'things',
        key: `k${i}`,
        value: { n, name: 'x' },
      })),
    );
  await write(0);
  let writing = true;
  const writes = (async () => {
    for (let n = 1; n <= 10; n += 1) await write(n);
    writing = false;
  })();
  let [finds, torn] = [0, 0];
  while (writing) {
    const { objects } = await s.findObjects('things', '(name=x)', {
      noLimit: true,
    });
    finds += 1;
    const rounds = new Set(objects.map(({ value }) => value['n']));
    if (rounds.size !== 1 || objects.length !== count) torn += 1;
  }
  await writes;
  t.ok(finds > 0, `${finds} finds`);
  t.equal(torn, 0);
});
