// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Waiting for what other parties bring about. */

const LIMIT_MS = 60_000;
const FIRST_PAUSE_MS = 5;
/** Asking costs those who are asked; what takes long can wait a little. */
const LAST_PAUSE_MS = 50;

/**
 * Asks again and again until the answer suits. A test that waits in vain fails.
 *
 * @param what names it in the message when it never comes
 * @param ask what it throws counts as not yet
 * @param suits by default any answer that is not false, null or undefined
 * @returns the answer that suited
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  suits: (answer: T) => boolean = Boolean,
): Promise<T> {
  const began = performance.now();
  for (let last = ''; ; ) {
    try {
      const answer = await ask();
      if (suits(answer)) return answer;
      last = JSON.stringify(answer);
    } catch (error) {
      last = String(error);
    }
    const waited = performance.now() - began;
    if (waited > LIMIT_MS) throw new Error(`never: ${what}: ${last}`);
    const pause = Math.max(FIRST_PAUSE_MS, Math.min(waited / 8, LAST_PAUSE_MS));
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
