// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** One story over fifty zones and ten thousand fabrics as a test. */

import test from 'tape';
import type { PlacementPolicy } from '../../services/napi-nat/placement.js';
import { play, type StoryOptions } from './story.js';

/** The same stories each time; `SEED=...` tells others. */
export const SEED = Number(process.env['SEED'] ?? 158) >>> 0;

/** A policy for stories. */
export function policy(
  sharing: PlacementPolicy['sharing'],
  on_join: PlacementPolicy['on_join'],
  placement: PlacementPolicy['placement'],
): StoryOptions['policy'] {
  return { sharing, on_join, placement, max_fabrics_per_public: 16 };
}

/** Plays it and wants no fault; says which seed would play it again. */
export function storyTest(
  options: StoryOptions['policy'],
  events: number,
  seed: number,
): void {
  const { sharing, on_join, placement } = options;
  test(`a story holds: ${sharing}, ${on_join}, ${placement}`, (t) => {
    const size = { zones: 50, fabrics: 10_000 };
    const { faults, counts, falls } = play({
      ...size,
      events,
      seed,
      policy: options,
    });
    t.deepEqual(faults.slice(0, 5), [], `SEED=${seed}`);
    t.ok(falls > 100, `${falls} zones were lost`);
    t.ok((counts['operator'] ?? 0) > 100, JSON.stringify(counts));
    t.end();
  });
}
