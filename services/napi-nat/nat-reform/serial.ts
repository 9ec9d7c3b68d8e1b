// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One thing after another: placements of one process queue here instead of
 * colliding in the store and trying again. Failover goes to the head of the
 * queue, so that no storm of requests can starve it.
 */

/** A queue of jobs of which one runs at a time. */
export interface Serial {
  /** Runs `job` after those already waiting; gives back its outcome. */
  run<T>(job: () => Promise<T>): Promise<T>;
  /** Runs `job` next, before those waiting. */
  runNext<T>(job: () => Promise<T>): Promise<T>;
}

/** Makes an empty queue. */
export function createSerial(): Serial {
  const waiting: (() => void)[] = [];
  let busy = false;

  function enter(first: boolean): Promise<void> | null {
    if (!busy) {
      busy = true;
      return null;
    }
    return new Promise((resolve) => {
      if (first) waiting.unshift(resolve);
      else waiting.push(resolve);
    });
  }

  async function go<T>(job: () => Promise<T>, first: boolean): Promise<T> {
    await enter(first);
    try {
      return await job();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else busy = false;
    }
  }

  return {
    run: (job) => go(job, false),
    runNext: (job) => go(job, true),
  };
}
