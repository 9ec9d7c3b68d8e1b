// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Stores that live as long as a test. */

import type { Test } from 'tape';
import type { Clock } from '#lib/clock.js';
import { type LevelStore, openLevelStore } from '#lib/store/open.js';
import { isStoreError, type StoreErrorName } from '#lib/store/types.js';
import { manualClock } from './manual-clock.js';

/** A new empty store, closed and removed at the test's end. */
export async function temporaryStore(
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
