// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Placements overlap, a failover waits its turn, or a failure jams all. */

import test from 'tape';
import { createSerial } from '../../../services/napi-nat/nat-reform/serial.js';

test('one at a time, in order, the urgent first', async (t) => {
  const serial = createSerial();
  const done: string[] = [];
  let running = 0;
  const job = (name: string) => async () => {
    running += 1;
    if (running > 1) t.fail(`${name} overlaps`);
    await new Promise(setImmediate);
    running -= 1;
    done.push(name);
  };
  await Promise.all([
    serial.run(job('a')),
    serial.run(job('b')),
    serial.run(job('c')),
    serial.runNext(job('failover')),
  ]);
  t.deepEqual(done, ['a', 'failover', 'b', 'c']);
});

test('a job that fails does not stop those behind it', async (t) => {
  const serial = createSerial();
  const bad = serial.run(() => Promise.reject(new Error('no')));
  const good = serial.run(() => Promise.resolve(7));
  await bad.then(
    () => t.fail('should fail'),
    (error: Error) => t.equal(error.message, 'no'),
  );
  t.equal(await good, 7);
});
