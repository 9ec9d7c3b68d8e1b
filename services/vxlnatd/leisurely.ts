// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Work that grows with the site, and must not fill the day. */

import type { Clock, Timer } from '#lib/clock.js';

/** Of the time, the part that may be spent: one in so many. */
export const LEISURE = 20;

/**
 * Does something again and again, each time a while after the last has ended:
 * the period, or more when it takes long.
 * @param work its failures are its own to report
 */
export function leisurely(
  work: () => Promise<void>,
  periodMs: number,
  clock: Clock,
): Timer {
  let stopped = false;
  let timer = clock.after(periodMs, () => void turn());
  async function turn(): Promise<void> {
    const began = clock.monotonic();
    await work();
    const took = clock.monotonic() - began;
    if (stopped) return;
    timer = clock.after(Math.max(periodMs, took * LEISURE), () => void turn());
  }
  return {
    cancel() {
      stopped = true;
      timer.cancel();
    },
  };
}

/**
 * Long work that rests between its turns: others have theirs then.
 * @returns what it returns
 */
export async function throughTurns<T>(work: Iterator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
