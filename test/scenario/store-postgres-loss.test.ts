// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a PostgreSQL that goes away for a while loses what was
 * acknowledged, or leaves a store that never recovers or missed events.
 */

import { once } from 'node:events';
import test from 'tape';
import { systemClock } from '#lib/clock.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import { isStoreError } from '#lib/store/types.js';
import { freshAddress, testServer } from '#test/postgres.js';

test('the server is lost under load and comes back', async (t) => {
  const server = await testServer();
  const address = await freshAddress();
  const options = { clock: systemClock() };
  const store = await openPostgresStore(address, options);
  const other = await openPostgresStore(address, options);
  t.teardown(() => Promise.all([store.close(), other.close()]));
  await store.createBucket('one', { index: { n: { type: 'number' } } });
  const heard: number[] = [];
  other.journal.onCommit((entries) => {
    heard.push(...entries.map(({ seq }) => seq));
  });
  const acked: number[] = [];
  const odd: unknown[] = [];
  let refused = 0;
  let stop = false;
  const writer = async (first: number) => {
    for (let n = first; !stop; n += 4) {
      const id = String(n);
      const event = { resource: 'n', subResources: [], id, object: null };
      try {
        await store.batch([{ bucket: 'one', key: id, value: { n } }], [event]);
        acked.push(n);
      } catch (error) {
        if (isStoreError(error, 'NoDatabasePeersError')) refused += 1;
        else odd.push(error);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const writers = [0, 1, 2, 3].map(writer);
  const until = async (count: number) => {
    while (acked.length < count && odd.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await until(50);
  server.process.kill('SIGQUIT');
  await once(server.process, 'exit');
  await server.restart();
  await until(acked.length + 50);
  stop = true;
  await Promise.all(writers);
  t.deepEqual(odd, [], `nothing else was thrown; ${refused} were refused`);
  const found = await store.findObjects('one', '(n=*)', { noLimit: true });
  const there = new Set(found.objects.map(({ key }) => Number(key)));
  t.deepEqual(
    acked.filter((n) => !there.has(n)),
    [],
    'what was acknowledged is there',
  );
  const { position } = await store.batch(
    [],
    [{ resource: 'n', subResources: [], id: 'last', object: null }],
  );
  for (let i = 0; i < 500 && !heard.includes(position); i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.deepEqual(
    heard,
    Array.from({ length: position }, (_, i) => i + 1),
    'the other process heard every event once',
  );
});
