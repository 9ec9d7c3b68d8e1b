// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Growing, jittered delays between attempts. Pure: randomness is given. */

export interface BackoffOptions {
  /** First delay in milliseconds. */
  minMs: number;
  /** No delay is longer. */
  maxMs: number;
}

export interface Backoff {
  /** The delay before the next attempt, in milliseconds. */
  next(): number;
  /** After a success: the next delay is a first one again. */
  reset(): void;
}

/**
 * @param options bounds of the delays
 * @param random in [0, 1); half of each delay is left to it, so that many
 *   subscribers of one publisher do not return in step
 */
export function createBackoff(
  options: BackoffOptions,
  random: () => number,
): Backoff {
  let failures = 0;
  return {
    next() {
      const doubled = options.minMs * 2 ** Math.min(failures, 30);
      failures += 1;
      return Math.min(options.maxMs, doubled) * (0.5 + random() / 2);
    },
    reset() {
      failures = 0;
    },
  };
}
