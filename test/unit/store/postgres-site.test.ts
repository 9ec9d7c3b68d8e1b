// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a PostgreSQL that an operator already has, with rights and
 * limits of its own, is not good enough, or what it refuses is not understood.
 */

import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { openLink } from '#lib/store/postgres/connection.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import { freshAddress } from '#test/postgres.js';
import { storeFails } from '#test/tmp-store.js';

const OPTIONS = { clock: systemClock() };

/** Statements as the server's administrator. */
async function administer(t: Test, url: string) {
  const link = await openLink(url, 'SELECT 1');
  t.teardown(() => link.end());
  return (text: string) => link.query(text);
}

test('an account with a schema of its own needs no more rights', async (t) => {
  const { url, schema } = await freshAddress();
  const run = await administer(t, url);
  const role = `${schema}_role`;
  const own = url.replace('user=vxlnat', `user=${role}`);
  await run(`CREATE ROLE ${role} LOGIN`);
  await openPostgresStore({ url: own, schema }, OPTIONS).then(
    () => t.fail('a store was made without the right to make a schema'),
    (error: Error) => t.match(error.message, /open store .*permission denied/),
  );
  await run(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`);
  for (const time of ['first', 'second']) {
    const store = await openPostgresStore({ url: own, schema }, OPTIONS);
    await store.putBucket('one', { index: { a: { type: 'string' } } });
    await store.putObject('one', 'k', { a: time });
    t.equal((await store.findObjects('one', `(a=${time})`)).count, 1);
    await store.close();
  }
});

test('a statement that takes too long is refused by name', async (t) => {
  const { url, schema } = await freshAddress();
  const run = await administer(t, url);
  const limited = `${url}&options=-c%20statement_timeout%3D300`;
  const store = await openPostgresStore({ url: limited, schema }, OPTIONS);
  t.teardown(() => store.close());
  await store.createBucket('one', { index: { a: { type: 'string' } } });
  await store.putObject('one', 'k', { a: 'x' });
  await run(`BEGIN; LOCK TABLE ${schema}.one`);
  const calls: [string, () => Promise<unknown>][] = [
    ['get', () => store.getObject('one', 'k')],
    ['find', () => store.findObjects('one', '(a=x)')],
    ['put', () => store.putObject('one', 'k', { a: 'y' })],
    ['deleteMany', () => store.deleteMany('one', '(a=x)')],
  ];
  for (const [name, call] of calls) {
    await storeFails(t, call(), 'QueryTimeoutError', name);
  }
  await run('ROLLBACK');
  t.equal((await store.getObject('one', 'k')).value['a'], 'x');
  await store.putObject('one', 'k', { a: 'z' });
  t.equal((await store.findObjects('one', '(a=z)')).count, 1, 'and it goes on');
});

test('no room for another connection is said, and is not the end', async (t) => {
  const { url, schema } = await freshAddress();
  const run = await administer(t, url);
  const role = `${schema}_role`;
  await run(`CREATE ROLE ${role} LOGIN CONNECTION LIMIT 3`);
  await run(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`);
  const own = url.replace('user=vxlnat', `user=${role}`);
  const store = await openPostgresStore({ url: own, schema }, OPTIONS);
  t.teardown(() => store.close());
  await store.createBucket('one', { index: { a: { type: 'string' } } });
  await store.putObject('one', 'k', { a: 'x' });
  // One listens, one writes; of four that would read at once one can.
  const all = await Promise.allSettled(
    Array.from({ length: 4 }, () => store.getObject('one', 'k')),
  );
  const refused = all.flatMap((each) =>
    each.status === 'rejected' ? [(each.reason as Error).name] : [],
  );
  t.ok(refused.length < 4, 'one at least is served');
  t.ok(refused.every((name) => name === 'NoDatabasePeersError'));
  await run(`ALTER ROLE ${role} CONNECTION LIMIT 6`);
  const again = await Promise.all(
    Array.from({ length: 4 }, () => store.getObject('one', 'k')),
  );
  t.equal(again.length, 4, 'with room for six all are served');
});
