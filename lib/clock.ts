// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Time as an argument. Services are given a `Clock`; tests give a manual one,
 * so nothing outside this file and `app.ts` reads the system's clock.
 */

/** A cancellable timer. */
export interface Timer {
  cancel(): void;
}

/** Wall-clock and monotonic time in milliseconds, and timers. */
export interface Clock {
  /** Milliseconds since the epoch: for timestamps people read. */
  now(): number;
  /** Milliseconds from an arbitrary start, never going back: for durations. */
  monotonic(): number;
  /** Calls `fn` once after `ms`; does not keep the process alive. */
  after(ms: number, fn: () => void): Timer;
  /** Calls `fn` every `ms`; does not keep the process alive. */
  every(ms: number, fn: () => void): Timer;
}

/** The machine's own clock. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after(ms, fn) {
      const handle = setTimeout(fn, ms);
      handle.unref();
      return { cancel: () => clearTimeout(handle) };
    },
    every(ms, fn) {
      const handle = setInterval(fn, ms);
      handle.unref();
      return { cancel: () => clearInterval(handle) };
    },
  };
}
