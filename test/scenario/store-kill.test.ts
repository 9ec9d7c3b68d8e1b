// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a process that is killed loses what it acknowledged, or
 * leaves half a batch, an index that disagrees with the objects, or a journal
 * with a hole.
 */

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { openLevelStore } from '#lib/store/open.js';
import type { JournalEntry, Store } from '#lib/store/types.js';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';
import { temporaryDirectory } from '#test/tmp.js';
import { BUCKETS, half, type Step } from './store-writer.js';

const ROUNDS = 15;
const ROUND_LIMIT_MS = 8_000;
const WRITER = join(dirname(fileURLToPath(import.meta.url)), 'store-writer.js');

interface Half {
  n: number;
  tag: string;
  ip?: string;
  sides: [string, string];
}

/** Runs a writer and kills it; returns the batches it acknowledged. */
async function killedWriter(directory: string, rng: Rng): Promise<number[]> {
  const child = spawn(
    process.execPath,
    [WRITER, directory, String(rng.below(2 ** 31))],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  let wanted = rng.between(1, 400);
  // Now and then in the middle of opening or recovering, too.
  const early = rng.chance(0.2);
  const delay = early ? rng.between(40, 300) : rng.between(0, 6);
  const kill = () => child.kill('SIGKILL');
  const timer = setTimeout(kill, early ? delay : ROUND_LIMIT_MS);
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
    if (early || output.split('\n').length <= wanted) return;
    wanted = Infinity;
    setTimeout(kill, delay);
  });
  await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  // A last line without its end was cut by the kill.
  return output.split('\n').slice(0, -1).map(Number);
}

async function events(store: Store): Promise<JournalEntry[]> {
  const all: JournalEntry[] = [];
  for (let seq = store.journal.horizon(); ; ) {
    const some = await store.journal.read(seq, 200);
    if (some.length === 0) return all;
    all.push(...some);
    seq = (some.at(-1) as JournalEntry).seq;
  }
}

/** Folds what the events tell into the pairs that must be there. */
function replay(pairs: Map<string, object>, entries: JournalEntry[]): void {
  for (const { object } of entries) {
    const step = object as Step;
    for (const side of ['left', 'right']) {
      const key = `${side}-${step.pair}`;
      if (step.gone) pairs.delete(key);
      else pairs.set(key, half(side, step));
    }
  }
}

async function checkIndexes(t: Test, store: Store): Promise<void> {
  const all = await store.findObjects('pairs', '(_id>=0)', { noLimit: true });
  const wrong: string[] = [];
  for (const { key, value } of all.objects) {
    const { n, tag, ip, sides } = value as unknown as Half;
    const filters = [`(n=${n})`, `(tag=${tag})`, `(sides=${sides[0]})`];
    filters.push(ip === undefined ? '(!(ip=*))' : `(ip=${ip})`);
    for (const filter of filters) {
      const found = await store.findObjects('pairs', filter);
      if (!found.objects.some((one) => one.key === key)) {
        wrong.push(`${key} is not found by ${filter}`);
      }
    }
  }
  t.deepEqual(wrong, [], 'every object is found by its indexes');
  for (const filter of ['(n=*)', '(|(ip=*)(!(ip=*)))', '(sides=*)']) {
    const { count } = await store.findObjects('pairs', filter);
    t.equal(count, all.count, `${filter} has no entry too many or too few`);
  }
}

async function check(
  t: Test,
  store: Store,
  pairs: Map<string, object>,
  acknowledged: number[],
  seen: number,
): Promise<void> {
  const position = store.journal.position();
  const last = Math.max(0, ...acknowledged);
  t.ok(position >= last, `acknowledged ${last}, has ${position}`);
  const entries = await events(store);
  const from = store.journal.horizon() + 1;
  t.deepEqual(
    entries.map(({ seq, id }) => [seq, id]),
    Array.from({ length: position - from + 1 }, (_, i) => [
      from + i,
      String(from + i),
    ]),
    'the journal has no gap and no duplicate',
  );
  replay(
    pairs,
    entries.filter(({ seq }) => seq > seen),
  );
  const stored = await store.findObjects('pairs', '(_id>=0)');
  t.deepEqual(
    Object.fromEntries(stored.objects.map((one) => [one.key, one.value])),
    Object.fromEntries(pairs),
    'the pairs are what the events tell',
  );
  const log = await store.findObjects('log', '(n=*)', { noLimit: true });
  t.deepEqual(
    log.objects.map(({ value }) => value['n']).sort(numeric),
    Array.from({ length: position }, (_, i) => i + 1),
    'no batch is there in part',
  );
  await checkIndexes(t, store);
}

function numeric(a: unknown, b: unknown): number {
  return Number(a) - Number(b);
}

test('a killed writer loses nothing it acknowledged', async (t) => {
  const seed = seedOfRun();
  t.comment(`SEED=${seed}`);
  const rng = seededRng(seed);
  const directory = temporaryDirectory(t);
  const pairs = new Map<string, object>();
  let total = 0;
  let seen = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const acknowledged = await killedWriter(directory, rng);
    total += acknowledged.length;
    t.comment(`round ${round}: ${acknowledged.length} acknowledged`);
    const store = await openLevelStore(directory, { clock: systemClock() });
    for (const [name, config] of Object.entries(BUCKETS)) {
      await store.putBucket(name, config);
    }
    await check(t, store, pairs, acknowledged, seen);
    seen = store.journal.position();
    if (rng.chance(0.3)) await store.journal.compact(seen - 20);
    await store.close();
    await sleep(0);
  }
  t.ok(total > ROUNDS, `${total} batches were acknowledged`);
});
