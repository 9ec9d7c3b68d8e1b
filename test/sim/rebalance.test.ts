// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The same stories where zones that join are given their share. Together with
 * placement.test.ts 100,000 events over 50 zones and 10,000 fabrics; fewer of
 * them here, for levelling so many public IPs is what takes long.
 */

import { policy, SEED, storyTest } from './story-test.js';

storyTest(policy('per-owner', 'rebalance', 'standby'), 10_000, SEED);
storyTest(policy('shared', 'rebalance', 'spread'), 30_000, SEED);
