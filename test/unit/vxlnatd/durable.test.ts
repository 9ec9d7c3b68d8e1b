// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A daemon that stops while a save is under way leaves nothing on disk. */

import test from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { manualClock } from '#test/manual-clock.js';
import { LazySaver } from '../../../services/vxlnatd/durable.js';

test('a saver is finished when its last save is', async (t) => {
  const clock = manualClock();
  let [saves, done] = [0, 0];
  const write = async () => {
    saves += 1;
    await new Promise<void>((resolve) => clock.after(500, resolve));
    done += 1;
  };
  const saver = new LazySaver(write, clock, silentLogger());
  await saver.finish();
  t.equal(saves, 0, 'nothing is due');
  saver.due();
  await clock.advanceAsync(1000);
  t.deepEqual([saves, done], [1, 0], 'a save is under way');
  let finished = false;
  const end = saver.finish().then(() => {
    finished = true;
  });
  await clock.advanceAsync(0);
  t.notOk(finished, 'it is waited for');
  await clock.advanceAsync(500);
  await end;
  t.deepEqual([saves, done], [1, 1], 'and not made again');
  saver.due();
  const last = saver.finish();
  await clock.advanceAsync(500);
  await clock.advanceAsync(500);
  await last;
  t.deepEqual([saves, done], [2, 2], 'what is due is saved at once');
});
