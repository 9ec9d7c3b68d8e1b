// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a store does not survive being closed and opened, or two
 * conditions of a batch are not checked together.
 */

import {
  onEachEngine,
  reopenable,
  storeFails,
  temporaryStore,
} from '#test/tmp-store.js';

onEachEngine('everything is there after closing and opening', async (t) => {
  const open = await reopenable(t);
  let s = await open();
  await s.createBucket('one', { index: { a: { type: 'string' } } });
  await s.putObject('one', 'k', { a: 'x' });
  await s.putObject('one', 'l', { a: 'x' });
  await s.delObject('one', 'l');
  const before = await s.getObject('one', 'k');
  // Accepted before closing, so it must be done.
  const late = s.putObject('one', 'late', { a: 'y' });
  await Promise.all([s.close(), s.close(), late]);
  await s.putObject('one', 'k', {}).then(
    () => t.fail('a closed store took a put'),
    (error: unknown) => t.match(String(error), /store is closed/),
  );
  s = await open();
  t.deepEqual(await s.getObject('one', 'k'), before);
  t.equal((await s.findObjects('one', '(a=*)')).count, 2);
  await s.putObject('one', 'm', {});
  t.equal((await s.getObject('one', 'm'))._id, 4, 'ids are not used twice');
  await s.close();
});

onEachEngine('a check writes nothing and can refuse a batch', async (t) => {
  const s = await temporaryStore(t);
  await s.createBucket('one', { index: {} });
  const { etag } = await s.putObject('one', 'lease', { holder: 'me' });
  const write = (wanted: string | null, key: string) =>
    s.batch([
      { bucket: 'one', key, value: {} },
      {
        operation: 'check',
        bucket: 'one',
        key: 'lease',
        options: { etag: wanted },
      },
    ]);
  await write(etag, 'a');
  const error = await storeFails(
    t,
    write('00000000', 'b'),
    'EtagConflictError',
    'another etag',
  );
  t.equal(error.context['key'], 'lease');
  await storeFails(t, write(null, 'b'), 'EtagConflictError', 'it exists');
  await storeFails(t, s.getObject('one', 'b'), 'ObjectNotFoundError', 'b');
  t.equal((await s.getObject('one', 'lease'))._etag, etag);
});

onEachEngine('a batch is refused when what it denies is there', async (t) => {
  const s = await temporaryStore(t);
  await s.createBucket('nets', { index: { tag: { type: 'string' } } });
  await s.createBucket('tags', { index: {} });
  await s.putObject('tags', 'one', {});
  const remove = () =>
    s.batch([
      { operation: 'delete', bucket: 'tags', key: 'one' },
      { operation: 'absent', bucket: 'nets', filter: '(tag=one)' },
    ]);
  await s.putObject('nets', 'a', { tag: 'one' });
  const error = await storeFails(t, remove(), 'EtagConflictError', 'in use');
  t.equal(error.context['key'], 'a');
  t.ok(await s.getObject('tags', 'one'), 'nothing was deleted');
  await storeFails(
    t,
    s.batch([
      { bucket: 'nets', key: 'b', value: { tag: 'two' } },
      { operation: 'absent', bucket: 'nets', filter: '(tag=two)' },
    ]),
    'EtagConflictError',
    'what the batch itself wrote counts',
  );
  await s.putObject('nets', 'a', { tag: 'two' });
  await remove();
  await storeFails(
    t,
    s.getObject('tags', 'one'),
    'ObjectNotFoundError',
    'gone',
  );
});
