// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a store that is copied to the other engine and back is not
 * what it was: ids, etags, times, positions or finds differ. Or half a copy is
 * taken for a store.
 */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test, { type Test } from 'tape';
import { copyStore } from '#lib/store/copy.js';
import { openLevelStore } from '#lib/store/open.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import type { JournalEvent, Store } from '#lib/store/types.js';
import { manualClock } from '#test/manual-clock.js';
import { freshAddress } from '#test/postgres.js';
import { temporaryDirectory } from '#test/tmp.js';
import {
  levelStore,
  onEachEngine,
  reopenable,
  temporaryStore,
} from '#test/tmp-store.js';

const MAIN = new URL('../../../services/napi-nat/main.js', import.meta.url)
  .pathname;

const event = (id: number): JournalEvent => ({
  resource: 'nic',
  subResources: ['create'],
  id: String(id),
  object: { id, odd: '\u0000é' },
});

async function fill(store: Store): Promise<void> {
  await store.createBucket('nics', {
    index: {
      mac: { type: 'number', unique: true },
      name: { type: 'string' },
      tags: { type: '[string]' },
    },
    options: { version: 3 },
  });
  await store.createBucket('empty', { index: {} });
  for (let i = 0; i < 1200; i += 300) {
    await store.batch(
      Array.from({ length: 300 }, (_, j) => ({
        bucket: 'nics',
        key: `n/${i + j} \u0000é`,
        value: { mac: i + j, name: `é${j % 7}`, tags: ['a', String(j % 3)] },
      })),
      [event(i), event(i + 1)],
    );
  }
  await store.delObject('nics', 'n/5 \u0000é');
  await store.updateObjects('nics', { name: 'same' }, '(mac<=9)');
  await store.journal.compact(3);
}

async function image(store: Store): Promise<unknown> {
  const all = await store.findObjects('nics', '(_id>=0)', { noLimit: true });
  const named = await store.findObjects('nics', '(&(name=é3)(tags=1))');
  const buckets = (await store.listBuckets()).map(
    ({ name, index, options }) => [name, index, options],
  );
  return {
    all,
    named,
    buckets,
    position: store.journal.position(),
    horizon: store.journal.horizon(),
    journal: await store.journal.read(store.journal.horizon(), 1000),
  };
}

test('store copy, to PostgreSQL and back, keeps everything', async (t) => {
  const clock = manualClock(1_600_000_000_000);
  const directory = temporaryDirectory(t);
  const first = await openLevelStore(`${directory}/first`, { clock });
  await fill(first);
  const before = await image(first);
  await first.close();
  const { url, schema } = await freshAddress();
  const place = `${url}&schema=${schema}`;
  const run = async (from: string, to: string): Promise<string> => {
    const args = [MAIN, 'store', 'copy', from, to];
    return promisify(execFile)(process.execPath, args).then(
      ({ stdout }) => stdout,
      (error: { stderr: string }) => error.stderr,
    );
  };
  const said = await run(`${directory}/first`, place);
  t.equal(
    said,
    'copied 2 buckets, 1199 objects and 5 journal entries; position 8\n',
  );
  t.match(await run(`${directory}/first`, place), /is not empty/);
  const middle = await openPostgresStore({ url, schema }, { clock });
  t.deepEqual(await image(middle), before, 'in PostgreSQL');
  const { position } = await middle.batch([], [event(0)]);
  t.equal(position, 9, 'positions go on');
  await middle.close();
  await run(place, `${directory}/second`);
  const last = await openLevelStore(`${directory}/second`, { clock });
  t.equal(last.journal.position(), 9);
  const after = (await image(last)) as { all: unknown };
  t.deepEqual(after.all, (before as { all: unknown }).all, 'and back');
  await last.putObject('nics', 'new', {});
  t.equal((await last.getObject('nics', 'new'))._id, 1201, 'ids go on');
  const again = await last.updateObjects('nics', { name: 'x' }, '(mac=1)');
  t.equal(again.etag, 'u0000002', 'so do the etags of updates');
  await last.close();
});

/** A store that fails at its nth `restore`, as a copy that is interrupted. */
function breaking(store: Store, at: number): Store {
  let calls = 0;
  return {
    ...store,
    restore(image) {
      calls += 1;
      return calls === at
        ? Promise.reject(new Error('interrupted'))
        : store.restore(image);
    },
  };
}

async function fails(t: Test, work: Promise<unknown>, words: RegExp) {
  await work.then(
    () => t.fail(`it was done, which should say ${words}`),
    (error: Error) => t.match(error.message, words),
  );
}

onEachEngine(
  'an interrupted copy is no store, and is begun anew',
  async (t) => {
    const clock = manualClock(1_600_000_000_000);
    const from = await levelStore(t, clock);
    await fill(from);
    const wanted = await image(from);
    const open = await reopenable(t, clock);
    // Before anything, among objects, before the journal, before the end.
    for (const at of [2, 4, 6, 7]) {
      const to = await open({ emptyUnfinished: true });
      await fails(t, copyStore(from, breaking(to, at)), /interrupted/);
      await to.close();
      await fails(t, open(), /copy into it was not finished/);
    }
    const to = await open({ emptyUnfinished: true });
    await copyStore(from, to);
    t.deepEqual(await image(to), wanted);
    await to.close();
    const whole = await open();
    t.deepEqual(await image(whole), wanted, 'it opens as any store');
    await fails(t, copyStore(from, whole), /not empty/);
    await whole.close();
  },
);

onEachEngine('a copy of a store that changes is not finished', async (t) => {
  const from = await temporaryStore(t);
  await fill(from);
  const to = await levelStore(t);
  const changing: Store = {
    ...from,
    async listBuckets() {
      await from.batch([], [event(99)]);
      return from.listBuckets();
    },
  };
  await fails(t, copyStore(changing, to), /changed while it was copied/);
});

test('store copy says what it cannot do', async (t) => {
  const run = (...words: string[]) =>
    promisify(execFile)(process.execPath, [MAIN, ...words]).then(
      () => 'it did',
      (error: { stderr: string }) => error.stderr,
    );
  t.match(await run('store', 'copy', '/nowhere/at/all', '/x'), /no store/);
  t.match(await run('store', 'move', 'a', 'b'), /store copy FROM TO/);
});
