// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Some order of crashes, cuts, drains, joins and new fabrics leaves a public
 * IP without a zone, its fabrics or AIPs elsewhere, work on a dead zone, two
 * zones announcing one address, or a zone that never comes back. Time is
 * virtual; `SEED=...` plays a run again.
 */

import test from 'tape';
import { play, type StoryOptions } from './story.js';
import { policy, SEED, storyTest } from './story-test.js';

for (const options of [
  policy('per-owner', 'keep', 'spread'),
  policy('shared', 'keep', 'standby'),
]) {
  storyTest(options, 30_000, SEED);
}

const POLICIES = [
  policy('per-owner', 'keep', 'spread'),
  policy('shared', 'keep', 'standby'),
  policy('per-owner', 'rebalance', 'standby'),
  policy('shared', 'rebalance', 'spread'),
];

test('two plays of one story are the same', (t) => {
  const small = { zones: 8, fabrics: 200, events: 2000 };
  const [each] = POLICIES as [StoryOptions['policy']];
  const one = play({ ...small, seed: SEED, policy: each });
  const two = play({ ...small, seed: SEED, policy: each });
  t.ok(one.log.length > 50, `${one.log.length} decisions`);
  t.deepEqual(one.log, two.log);
  t.end();
});

test('few zones come to the end of their reserves', (t) => {
  for (let n = 0; n < 60; n += 1) {
    const seed = (SEED + 1000 + n) >>> 0;
    const small = { zones: 1 + (n % 4), fabrics: 40, events: 600 };
    const each = POLICIES[n % POLICIES.length] as StoryOptions['policy'];
    const { faults } = play({ ...small, seed, policy: each });
    if (faults.length === 0) continue;
    t.fail(`SEED=${SEED}, story ${n}: ${faults[0]}`);
    break;
  }
  t.pass('60 stories of one to four zones');
  t.end();
});
