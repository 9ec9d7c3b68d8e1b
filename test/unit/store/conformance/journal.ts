// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: subscribers miss, repeat or reorder changes, or hear of
 * one that is not durable.
 */

import type { JournalEvent } from '#lib/store/types.js';
import { manualClock } from '#test/manual-clock.js';
import {
  onEachEngine,
  reopenable,
  storeFails,
  temporaryStore,
} from '#test/tmp-store.js';

const event = (id: number): JournalEvent => ({
  resource: 'nic',
  subResources: [],
  id: String(id),
  object: null,
  extra: { etag: 'x' },
});

onEachEngine('entries are numbered, timed and read in order', async (t) => {
  const clock = manualClock();
  const s = await temporaryStore(t, clock);
  t.deepEqual([s.journal.position(), s.journal.horizon()], [0, 0]);
  await s.batch([], [event(1), event(2)]);
  clock.advance(10);
  const { position } = await s.batch([], [event(3)]);
  t.equal(position, 3);
  const all = await s.journal.read(0, 100);
  const wanted = [1, 2, 3].map((id) => ({
    ...event(id),
    seq: id,
    published: clock.now() - (id < 3 ? 10 : 0),
  }));
  t.deepEqual(all, wanted);
  t.deepEqual(await s.journal.read(1, 1), wanted.slice(1, 2));
  t.deepEqual(await s.journal.read(3, 100), []);
  t.deepEqual(await s.journal.read(0, 0), []);
});

onEachEngine(
  'listeners hear each commit once, in order, before its caller',
  async (t) => {
    const s = await temporaryStore(t);
    const heard: number[] = [];
    const late: number[] = [];
    s.journal.onCommit(() => {
      throw new Error('a listener of no use');
    });
    const stop = s.journal.onCommit((entries) => {
      heard.push(...entries.map(({ seq }) => seq));
    });
    const batches = Array.from({ length: 200 }, async (_, i) => {
      const { position } = await s.batch([], [event(i)]);
      if (!heard.includes(position)) late.push(position);
    });
    await Promise.all(batches);
    t.deepEqual(
      heard,
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    t.deepEqual(late, []);
    await s.batch([]);
    t.equal(heard.length, 200, 'nothing for a batch without events');
    stop();
    await s.batch([], [event(1)]);
    t.equal(heard.length, 200);
  },
);

onEachEngine('compacting moves the horizon, for good', async (t) => {
  const open = await reopenable(t);
  let s = await open();
  for (let i = 0; i < 10; i += 1) await s.batch([], [event(i)]);
  await s.journal.compact(6);
  await s.journal.compact(3);
  t.equal(s.journal.horizon(), 6);
  t.equal((await s.journal.read(6, 100)).length, 4);
  const error = await storeFails(
    t,
    s.journal.read(5, 100),
    'JournalHorizonError',
    'below the horizon',
  );
  t.deepEqual(error.context, { horizon: '6', seq: '5' });
  await s.journal.compact(1000);
  t.equal(s.journal.horizon(), 10, 'not beyond the position');
  await s.close();
  s = await open();
  t.deepEqual([s.journal.position(), s.journal.horizon()], [10, 10]);
  t.equal((await s.batch([], [event(11)])).position, 11);
  t.deepEqual(
    (await s.journal.read(10, 100)).map(({ seq }) => seq),
    [11],
  );
  await s.close();
});
