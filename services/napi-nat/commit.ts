// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The one way to write: build a batch from what is there, commit it with its
 * events on the condition that nothing read has changed, and build it afresh
 * when something has (facts: triton-napi 8). A request that loses a race sees
 * what the winner left, as if it had come later.
 */

import {
  type BatchRequest,
  type JournalEvent,
  StoreError,
  type StoreErrorName,
} from '#lib/store/types.js';
import type { NapiContext } from './context.js';

/** What one batch is to do. */
export interface Changes {
  requests: BatchRequest[];
  events: JournalEvent[];
}

/** What `build` gives for one attempt. */
export interface Built<T> {
  changes: Changes;
  result: T;
}

/**
 * @param attempt 0 for the first
 * @param last why the attempt before was refused; null in the first
 */
export type Build<T> = (
  attempt: number,
  last: StoreError | null,
) => Promise<Built<T>>;

/** Attempts after the first (facts: triton-napi 8). */
export const MAX_RETRIES = 150;

/** Refusals that say "what you read has changed": worth another look. */
const RACES: readonly StoreErrorName[] = [
  'EtagConflictError',
  'UniqueAttributeError',
  'ObjectNotFoundError',
];

/** Joins changes in the order given. */
export function merge(...all: Changes[]): Changes {
  return {
    requests: all.flatMap((changes) => changes.requests),
    events: all.flatMap((changes) => changes.events),
  };
}

/** Nothing to do. */
export function noChanges(): Changes {
  return { requests: [], events: [] };
}

/**
 * Builds and commits until the store takes it. What `build` throws ends it at
 * once and reaches the caller; so does a refusal that is no race.
 * @param build reads and decides afresh in each attempt; writes nothing
 * @returns the result of the attempt that was committed, and the journal's
 *   position after it
 * @throws StoreError the last race, when 150 retries were not enough
 */
export async function commitAt<T>(
  ctx: Pick<NapiContext, 'store'>,
  build: Build<T>,
): Promise<{ result: T; position: number }> {
  let last: StoreError | null = null;
  for (let attempt = 0; attempt <= MAX_RETRIES; attempt++) {
    const { changes, result } = await build(attempt, last);
    const { requests, events } = changes;
    if (requests.length === 0 && events.length === 0) {
      return { result, position: ctx.store.journal.position() };
    }
    try {
      const done = await ctx.store.batch(requests, events);
      return { result, position: done.position };
    } catch (error) {
      if (!isRace(error)) throw error;
      last = error;
    }
  }
  throw last;
}

/** As `commitAt`, for callers to whom the position does not matter. */
export async function commit<T>(
  ctx: Pick<NapiContext, 'store'>,
  build: Build<T>,
): Promise<T> {
  return (await commitAt(ctx, build)).result;
}

/** Whether the store refused because of what someone else wrote. */
export function isRace(error: unknown): error is StoreError {
  return error instanceof StoreError && RACES.includes(error.name);
}
