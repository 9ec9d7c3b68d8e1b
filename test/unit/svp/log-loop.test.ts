// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a shootdown acknowledged before it was acted on is lost for
 * good, and the node sends to the wrong place until somebody notices.
 */

import test from 'tape';
import { ipv4 } from '#lib/net/ipv4.js';
import { mac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { SvpUnavailableError } from '#lib/svp/client.js';
import { createLogLoop } from '#lib/svp/log-loop.js';
import type { LogRecord } from '#lib/svp/messages.js';
import { manualClock } from '#test/manual-clock.js';

function scene() {
  const clock = manualClock();
  const seen: string[] = [];
  const state = {
    records: [] as LogRecord[],
    /** What a VL3 record waits for; null: it fails. */
    resolved: Promise.resolve() as Promise<void> | null,
    down: false,
  };
  const loop = createLogLoop({
    client: {
      async logRequest(ip, maxBytes) {
        seen.push(`ask ${ip} ${maxBytes}`);
        if (state.down) throw new SvpUnavailableError('down');
        return [...state.records];
      },
      async logRemove(ids) {
        seen.push(`remove ${ids.join(' ')}`);
        state.records = state.records.filter(({ id }) => !ids.includes(id));
      },
    },
    underlayIp: ipv4(1),
    clock,
    random: () => 0.5,
    log: silentLogger(),
    onVl2: (record) => {
      seen.push(`vl2 ${record.mac}`);
    },
    onVl3: async (record) => {
      seen.push(`vl3 ${record.ip}`);
      if (state.resolved === null) throw new SvpUnavailableError('no answer');
      await state.resolved;
    },
    maxBytes: 1024,
  });
  return { clock, loop, state, seen: () => seen.splice(0) };
}

const vl2: LogRecord = { type: 'vl2', id: 'a', mac: mac(1), vnet: 7 };
const vl3: LogRecord = { type: 'vl3', id: 'b', ip: ipv4(2), vlan: 0, vnet: 7 };

test('an empty log is asked every 5 to 10 seconds', async (t) => {
  const { clock, loop, seen } = scene();
  loop.start();
  await clock.advanceAsync(0);
  t.deepEqual(seen(), ['ask 1 1024'], 'at once');
  await clock.advanceAsync(7499);
  t.deepEqual(seen(), []);
  await clock.advanceAsync(1);
  t.deepEqual(seen(), ['ask 1 1024'], 'after 5 s and half of 5 s');
  loop.stop();
  await clock.advanceAsync(60_000);
  t.deepEqual(seen(), [], 'stopped');
});

test('a record is removed only after it was acted on', async (t) => {
  const { clock, loop, seen, state } = scene();
  let resolve = () => undefined as unknown;
  state.resolved = new Promise<void>((done) => {
    resolve = done as () => unknown;
  });
  state.records = [vl2, vl3];
  loop.start();
  await clock.advanceAsync(10);
  t.deepEqual(seen(), ['ask 1 1024', 'vl2 1', 'vl3 2'], 'nothing removed yet');
  resolve();
  await new Promise((settled) => setImmediate(settled));
  t.deepEqual(seen(), ['remove a b']);
  await clock.advanceAsync(1000);
  t.deepEqual(seen(), ['ask 1 1024'], 'asked again a second after work');
  loop.stop();
});

test('a record that failed stays and comes again', async (t) => {
  const { clock, loop, seen, state } = scene();
  state.resolved = null;
  state.records = [vl2, vl3];
  loop.start();
  await clock.advanceAsync(10);
  t.deepEqual(seen(), ['ask 1 1024', 'vl2 1', 'vl3 2', 'remove a']);
  state.resolved = Promise.resolve();
  await clock.advanceAsync(1000);
  t.deepEqual(seen(), ['ask 1 1024', 'vl3 2', 'remove b']);
  loop.stop();
});

test('a server that is away ends nothing', async (t) => {
  const { clock, loop, seen, state } = scene();
  state.down = true;
  loop.start();
  await clock.advanceAsync(10);
  state.down = false;
  state.records = [vl2];
  seen();
  await clock.advanceAsync(7500);
  t.deepEqual(seen(), ['ask 1 1024', 'vl2 1', 'remove a']);
  loop.stop();
});

test('poke asks at once', async (t) => {
  const { clock, loop, seen } = scene();
  loop.start();
  await clock.advanceAsync(10);
  seen();
  loop.poke();
  await clock.advanceAsync(0);
  t.deepEqual(seen(), ['ask 1 1024']);
  loop.stop();
});
