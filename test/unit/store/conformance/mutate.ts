// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: etag conditions, unique fields or updates that let two
 * writers both win, or that change what they should not.
 */

import type { Test } from 'tape';
import type { Store } from '#lib/store/types.js';
import { manualClock } from '#test/manual-clock.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const clock = manualClock();

async function store(t: Test): Promise<Store> {
  const made = await temporaryStore(t, clock);
  await made.createBucket('ips', {
    index: {
      ip: { type: 'ip', unique: true },
      owner: { type: 'string' },
      reserved: { type: 'boolean' },
      size: { type: 'number' },
      tags: { type: '[string]' },
    },
  });
  return made;
}

onEachEngine(
  'an object comes back with its content, id, etag and time',
  async (t) => {
    const s = await store(t);
    const value = { ip: '10.0.0.1', deep: { list: [1, null, 'é'] } };
    const { etag } = await s.putObject('ips', 'a/b c', value);
    const got = await s.getObject('ips', 'a/b c');
    t.deepEqual(got, {
      bucket: 'ips',
      key: 'a/b c',
      value,
      _id: 1,
      _etag: etag,
      _mtime: clock.now(),
    });
    t.match(etag, /^[0-9a-f]{8}$/);
    await s.putObject('ips', 'b', {});
    clock.advance(5);
    const again = await s.putObject('ips', 'a/b c', value);
    t.equal(again.etag, etag, 'the same content has the same etag');
    const after = await s.getObject('ips', 'a/b c');
    t.deepEqual([after._id, after._mtime], [1, clock.now()]);
  },
);

onEachEngine('the value is taken when it is put', async (t) => {
  const s = await store(t);
  const value = { owner: 'before', tags: ['x'] };
  const done = s.putObject('ips', 'a', value);
  value.owner = 'after';
  value.tags.push('y');
  await done;
  const got = await s.getObject('ips', 'a');
  t.deepEqual(got.value, { owner: 'before', tags: ['x'] });
});

onEachEngine('etag conditions of put', async (t) => {
  const s = await store(t);
  const put = (key: string, etag?: string | null) =>
    s.putObject('ips', key, { n: key }, { etag });
  const { etag } = await put('a', null);
  const conflict = await storeFails(
    t,
    put('a', null),
    'EtagConflictError',
    'must not exist',
  );
  t.deepEqual(conflict.context, {
    bucket: 'ips',
    key: 'a',
    expected: 'null',
    actual: etag,
  });
  const missing = await storeFails(
    t,
    put('b', etag),
    'EtagConflictError',
    'an etag of nothing',
  );
  t.equal(missing.context['actual'], 'null');
  await put('a', etag);
  await put('a', undefined);
  await storeFails(t, put('a', 'deadbeef'), 'EtagConflictError', 'another');
});

onEachEngine('etag conditions of delete; null is not checked', async (t) => {
  const s = await store(t);
  const lost = await storeFails(
    t,
    s.delObject('ips', 'a'),
    'ObjectNotFoundError',
    'nothing to delete',
  );
  t.equal(lost.message, 'ips::a does not exist');
  await s.putObject('ips', 'a', {});
  await storeFails(
    t,
    s.delObject('ips', 'a', { etag: 'deadbeef' }),
    'EtagConflictError',
    'another etag',
  );
  await s.delObject('ips', 'a', { etag: null });
  await storeFails(t, s.getObject('ips', 'a'), 'ObjectNotFoundError', 'gone');
});

onEachEngine(
  'a unique value has one object; unset has any number',
  async (t) => {
    const s = await store(t);
    await s.putObject('ips', 'a', { ip: '10.0.0.1' });
    await s.putObject('ips', 'x', {});
    await s.putObject('ips', 'y', { ip: null });
    const error = await storeFails(
      t,
      s.putObject('ips', 'b', { ip: '::ffff:10.0.0.1' }),
      'UniqueAttributeError',
      'the same address in other text',
    );
    t.equal(
      error.message,
      '"ip" is a unique attribute; value "::ffff:10.0.0.1" already exists',
    );
    await s.putObject('ips', 'a', { ip: '10.0.0.1', owner: 'o' });
    await s.putObject('ips', 'a', { ip: '10.0.0.2' });
    await s.putObject('ips', 'b', { ip: '10.0.0.1' });
    await s.delObject('ips', 'b');
    await s.putObject('ips', 'c', { ip: '10.0.0.1' });
    t.equal((await s.findObjects('ips', '(ip=10.0.0.1)')).count, 1);
  },
);

onEachEngine('a value of the wrong type is refused', async (t) => {
  const s = await store(t);
  const wrong = [
    { ip: 'x' },
    { reserved: 'maybe' },
    { size: {} },
    { tags: 'x' },
    { owner: ['x'] },
  ];
  for (const value of wrong) {
    await storeFails(
      t,
      s.putObject('ips', 'a', value),
      'InvalidIndexTypeError',
      JSON.stringify(value),
    );
  }
  await s.putObject('ips', 'a', {}).catch(() => t.fail('a put was kept'));
  try {
    await s.putObject('ips', 'a', [] as object);
    t.fail('a list was stored');
  } catch (error) {
    t.match(String(error), /must be an object/);
  }
});

onEachEngine('updateObjects sets fields and gives one new etag', async (t) => {
  const s = await store(t);
  await s.putObject('ips', 'a', { owner: 'o', reserved: true, keep: 1 });
  await s.putObject('ips', 'b', { owner: 'o', size: 3 });
  await s.putObject('ips', 'c', { owner: 'p', reserved: true });
  const fields = { reserved: 'false', size: '7' };
  const done = await s.updateObjects('ips', fields, '(owner=o)');
  t.equal(done.count, 2);
  t.match(done.etag, /^u[0-9a-f]{7}$/);
  const a = await s.getObject('ips', 'a');
  const expected = { owner: 'o', reserved: false, keep: 1, size: 7 };
  t.deepEqual(a.value, expected);
  t.equal(a._etag, done.etag);
  t.equal((await s.getObject('ips', 'b'))._etag, done.etag);
  t.equal((await s.findObjects('ips', '(reserved=true)')).count, 1);
  t.equal((await s.findObjects('ips', '(size=7)')).count, 2);
  const second = await s.updateObjects('ips', fields, '(owner=o)');
  t.notEqual(second.etag, done.etag, 'each update has an etag of its own');
});

onEachEngine('what updateObjects refuses', async (t) => {
  const s = await store(t);
  const update = (fields: Record<string, unknown>) =>
    s.updateObjects('ips', fields, '(owner=o)');
  await storeFails(t, update({}), 'FieldUpdateError', 'nothing');
  await storeFails(t, update({ keep: 1 }), 'FieldUpdateError', 'no index');
  await storeFails(t, update({ size: null }), 'NotNullableError', 'null');
  await storeFails(t, update({ size: 'x' }), 'InvalidIndexTypeError', 'type');
});

onEachEngine('deleteMany deletes what matches, at most 1000', async (t) => {
  const s = await store(t);
  await s.batch(
    Array.from({ length: 1003 }, (_, i) => ({
      bucket: 'ips',
      key: `k${i}`,
      value: { owner: 'o', size: i },
    })),
  );
  await s.putObject('ips', 'other', { owner: 'p' });
  t.deepEqual(await s.deleteMany('ips', '(owner=o)'), { count: 1000 });
  t.deepEqual(await s.deleteMany('ips', '(owner=o)'), { count: 3 });
  t.equal((await s.findObjects('ips', '(_id>=0)')).count, 1);
});

onEachEngine('of 300 writers with one etag exactly one wins', async (t) => {
  const s = await store(t);
  let etag: string | null = null;
  for (let round = 0; round < 3; round += 1) {
    const puts = Array.from({ length: 300 }, (_, i) =>
      s.putObject('ips', 'a', { round, owner: `w${i}` }, { etag }),
    );
    const results = await Promise.allSettled(puts);
    const won = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value.etag] : [],
    );
    const lost = results.filter(
      (result) =>
        result.status === 'rejected' &&
        (result.reason as Error).name === 'EtagConflictError',
    );
    t.deepEqual([won.length, lost.length], [1, 299], `round ${round}`);
    etag = won[0] as string;
    t.equal((await s.getObject('ips', 'a'))._etag, etag, "the winner's");
  }
  t.equal((await s.findObjects('ips', '(owner=*)')).count, 1);
});

onEachEngine('of many writers of one unique value one wins', async (t) => {
  const s = await store(t);
  const puts = Array.from({ length: 100 }, (_, i) =>
    s.putObject('ips', `k${i}`, { ip: '10.0.0.1' }),
  );
  const results = await Promise.allSettled(puts);
  t.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
  t.equal((await s.findObjects('ips', '(_id>=0)')).count, 1);
});
