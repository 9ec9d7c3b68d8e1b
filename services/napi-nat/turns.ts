// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Queues by name. Requests of one process that would allocate from the same
 * network wait for each other here, instead of choosing the same address,
 * colliding in the store and choosing again. The store's etags are what makes
 * allocation right (facts: triton-napi 8); this only makes it cheap, so a
 * second process changes nothing but the number of retries.
 */

export interface Turns {
  /** Runs `job` after those waiting under the same name. */
  run<T>(name: string, job: () => Promise<T>): Promise<T>;
}

/** Makes turns; a name costs memory only while someone waits under it. */
export function createTurns(): Turns {
  const tails = new Map<string, Promise<void>>();
  return {
    async run(name, job) {
      const before = tails.get(name) ?? Promise.resolve();
      let done: () => void = () => {};
      const mine = new Promise<void>((resolve) => {
        done = resolve;
      });
      tails.set(name, mine);
      await before;
      try {
        return await job();
      } finally {
        done();
        if (tails.get(name) === mine) tails.delete(name);
      }
    },
  };
}
