// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Regular work overlaps itself, or takes all the time there is. */

import test from 'tape';
import { manualClock } from '#test/manual-clock.js';
import { LEISURE, leisurely } from '../../../services/vxlnatd/leisurely.js';

test('work that takes long is done less often, and one at a time', async (t) => {
  const clock = manualClock();
  const began: number[] = [];
  let running = 0;
  let most = 0;
  let took = 0;
  const timer = leisurely(
    async () => {
      began.push(clock.monotonic());
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => clock.after(took, resolve));
      running -= 1;
    },
    1000,
    clock,
  );
  await clock.advanceAsync(1000);
  t.deepEqual(began, [1000], 'after one period');
  took = 500;
  await clock.advanceAsync(1000);
  t.deepEqual(began, [1000, 2000]);
  await clock.advanceAsync(500 + 500 * LEISURE - 1);
  t.equal(began.length, 2, 'it waits in proportion');
  await clock.advanceAsync(1);
  t.equal(began.length, 3);
  t.equal(most, 1);
  timer.cancel();
  await clock.advanceAsync(1_000_000);
  t.equal(began.length, 3, 'cancelled while it works');
  t.equal(clock.pending(), 0);
});
