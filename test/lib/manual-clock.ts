// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Time that moves only when a test says so. Timers run in the order in which
 * they fall due; a timer set by a timer runs in the same advance when it is
 * due within it.
 */

import type { Clock, Timer } from '#lib/clock.js';

export interface ManualClock extends Clock {
  /** Moves time on and runs what falls due. */
  advance(ms: number): void;
  /** As `advance`, letting promises settle after every timer. */
  advanceAsync(ms: number): Promise<void>;
  /** How many timers are set. */
  pending(): number;
}

interface Entry {
  at: number;
  order: number;
  every: number | undefined;
  fn: () => void;
}

/** @param start what `now` says at first; `monotonic` starts at 0 */
export function manualClock(start = 1_700_000_000_000): ManualClock {
  let elapsed = 0;
  let order = 0;
  const timers = new Set<Entry>();

  function add(ms: number, fn: () => void, every?: number): Timer {
    order += 1;
    const entry: Entry = { at: elapsed + ms, order, every, fn };
    timers.add(entry);
    return { cancel: () => void timers.delete(entry) };
  }

  function next(until: number): Entry | undefined {
    return [...timers]
      .filter((entry) => entry.at <= until)
      .sort((a, b) => a.at - b.at || a.order - b.order)[0];
  }

  function fire(entry: Entry): void {
    elapsed = Math.max(elapsed, entry.at);
    if (entry.every === undefined) timers.delete(entry);
    else entry.at += Math.max(1, entry.every);
    entry.fn();
  }

  return {
    now: () => start + elapsed,
    monotonic: () => elapsed,
    after: (ms, fn) => add(ms, fn),
    every: (ms, fn) => add(ms, fn, ms),
    advance(ms) {
      const until = elapsed + ms;
      for (let due = next(until); due !== undefined; due = next(until)) {
        fire(due);
      }
      elapsed = until;
    },
    async advanceAsync(ms) {
      const until = elapsed + ms;
      for (let due = next(until); due !== undefined; due = next(until)) {
        fire(due);
        await new Promise((resolve) => setImmediate(resolve));
      }
      elapsed = until;
    },
    pending: () => timers.size,
  };
}
