// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Parts start in order and stop in reverse, whatever fails. */

import test from 'tape';
import { createLifecycle } from '#lib/service/lifecycle.js';
import { silentLogger } from '#lib/service/log.js';

function parts(names: string[], failing: string[] = []) {
  const calls: string[] = [];
  const lifecycle = createLifecycle(silentLogger());
  for (const name of names) {
    const step = (verb: string) => async () => {
      calls.push(`${verb} ${name}`);
      if (failing.includes(`${verb} ${name}`)) throw new Error(`${name} fails`);
    };
    lifecycle.add({ name, start: step('start'), stop: step('stop') });
  }
  return { calls, lifecycle };
}

test('start in order, stop in reverse, once', async (t) => {
  const { calls, lifecycle } = parts(['a', 'b']);
  await lifecycle.start();
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  t.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a part that fails to start stops those before it', async (t) => {
  const { calls, lifecycle } = parts(['a', 'b', 'c'], ['start b']);
  await lifecycle.start().then(
    () => t.fail('it started'),
    (error) => t.equal(error.message, 'b fails'),
  );
  t.deepEqual(calls, ['start a', 'start b', 'stop a']);
});

test('a part that fails to stop stops nobody from stopping', async (t) => {
  const { calls, lifecycle } = parts(['a', 'b'], ['stop b']);
  await lifecycle.start();
  await lifecycle.stop();
  t.deepEqual(calls.slice(2), ['stop b', 'stop a']);
});

test('a stop during the start ends what had started', async (t) => {
  const { calls, lifecycle } = parts(['a', 'b']);
  lifecycle.add({ name: 'stopper', start: () => void lifecycle.stop() });
  lifecycle.add({ name: 'never', start: () => void calls.push('never') });
  await lifecycle.start();
  t.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});
