// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Seeded randomness, so that a property test which failed fails again: print
 * the seed, run with SEED=... in the environment.
 */

export interface Rng {
  readonly seed: number;
  /** In [0, 1). */
  float(): number;
  /** An integer in [0, below). */
  below(below: number): number;
  /** An integer in [low, high]. */
  between(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  chance(probability: number): boolean;
  shuffle<T>(items: readonly T[]): T[];
}

/** The seed to use: SEED of the environment, else a new one. */
export function seedOfRun(): number {
  const given = process.env['SEED'];
  if (given !== undefined) return Number(given) >>> 0;
  return Math.floor(Math.random() * 2 ** 32);
}

/** @param seed any 32-bit number; mulberry32 is good enough for tests */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  function float(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  const below = (limit: number) => Math.floor(float() * limit);
  return {
    seed,
    float,
    below,
    between: (low, high) => low + below(high - low + 1),
    pick: (items) => {
      if (items.length === 0) throw new Error('nothing to pick from');
      return items[below(items.length)] as (typeof items)[number];
    },
    chance: (probability) => float() < probability,
    shuffle(items) {
      const copy = [...items];
      for (let i = copy.length - 1; i > 0; i -= 1) {
        const j = below(i + 1);
        [copy[i], copy[j]] = [
          copy[j] as (typeof copy)[number],
          copy[i] as (typeof copy)[number],
        ];
      }
      return copy;
    },
  };
}
