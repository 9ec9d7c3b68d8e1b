// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Stores that live as long as a test, of either engine. */

import test, { type Test } from 'tape';
import type { Clock } from '#lib/clock.js';
import { type LevelStore, openLevelStore } from '#lib/store/open.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import type { BucketTriggers } from '#lib/store/trigger.js';
import {
  isStoreError,
  type Store,
  type StoreErrorName,
} from '#lib/store/types.js';
import { manualClock } from './manual-clock.js';
import { freshAddress } from './postgres.js';
import { temporaryDirectory } from './tmp.js';

export const ENGINES = ['level', 'postgres'] as const;
export type Engine = (typeof ENGINES)[number];

const engines = new WeakMap<Test, Engine>();

/** Declares a test twice: its stores are of one engine, then of the other. */
export function onEachEngine(
  name: string,
  body: (t: Test) => Promise<void>,
): void {
  for (const engine of ENGINES) {
    test(`${engine}: ${name}`, async (t) => {
      engines.set(t, engine);
      await body(t);
    });
  }
}

/** What a test may ask of either engine when it opens a store. */
interface More {
  emptyUnfinished?: true;
  triggers?: BucketTriggers;
}

/**
 * Where a store can be opened, closed and opened again.
 * @returns opens it; the test closes what it opened
 */
export async function reopenable(
  t: Test,
  clock: Clock = manualClock(),
): Promise<(more?: More) => Promise<Store>> {
  if (engines.get(t) === 'postgres') {
    const address = await freshAddress();
    return (more) => openPostgresStore(address, { clock, ...more });
  }
  const directory = `${temporaryDirectory(t)}/new/store`;
  return (more) => openLevelStore(directory, { clock, ...more });
}

/** A new empty store of the test's engine, closed at its end. */
export async function temporaryStore(
  t: Test,
  clock: Clock = manualClock(),
): Promise<Store> {
  if (engines.get(t) !== 'postgres') return levelStore(t, clock);
  const store = await (await reopenable(t, clock))();
  t.teardown(() => store.close());
  return store;
}

/** A new empty store of the embedded engine. */
export async function levelStore(
  t: Test,
  clock: Clock = manualClock(),
): Promise<LevelStore> {
  const store = await openLevelStore('', { clock, memory: true });
  t.teardown(() => store.close());
  return store;
}

/**
 * Asserts that a promise fails with this store error.
 * @returns the error's context and message, to look at more closely
 */
export async function storeFails(
  t: Test,
  promise: Promise<unknown>,
  name: StoreErrorName,
  why: string,
): Promise<{ message: string; context: Record<string, string> }> {
  try {
    await promise;
  } catch (error) {
    t.ok(isStoreError(error, name), `${why}: ${name}, got ${String(error)}`);
    if (isStoreError(error, name)) return error;
    return { message: String(error), context: {} };
  }
  t.fail(`${why}: ${name} expected, nothing was thrown`);
  return { message: '', context: {} };
}
