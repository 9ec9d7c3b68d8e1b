// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A zone is judged dead that lives, or alive that is dead. */

import test from 'tape';
import {
  LIVENESS_DEFAULTS,
  type Liveness,
  type LivenessConfig,
  type Observation,
  observe,
  overslept,
  unknownLiveness,
} from '../../../services/napi-nat/liveness.js';

const config: LivenessConfig = {
  ...LIVENESS_DEFAULTS,
  probe: { interval_ms: 100, misses: 3 },
  heartbeat: { interval_ms: 200, misses: 5 },
};

/** A zone in one's hands: each call is an observation at a time. */
function subject() {
  let state: Liveness = unknownLiveness(0, config);
  const see = (at: number, ...seen: Observation[]) => {
    for (const each of seen) state = observe(state, each, at, config);
    return state.verdict;
  };
  return { see, state: () => state };
}

const ok: Observation = { type: 'probe_answered' };
const miss: Observation = { type: 'probe_missed' };
const tick: Observation = { type: 'tick' };
const beat = (progress: number): Observation => ({
  type: 'heartbeat',
  progress,
});

test('three missed probes in a row, and not two, make a zone down', (t) => {
  const { see, state } = subject();
  t.equal(see(0, ok), 'up');
  t.equal(see(200, miss, miss, ok), 'up', 'an answer starts the count again');
  t.equal(see(400, miss, miss), 'up');
  t.equal(see(500, miss), 'down');
  t.equal(state().cause, 'probes missed');
  t.end();
});

test('a zone that never answered a probe lives by its heartbeats', (t) => {
  const { see, state } = subject();
  t.equal(see(0, miss, miss, miss, miss), 'unknown');
  t.equal(see(10, beat(1)), 'up');
  t.equal(see(900, miss, miss, miss, tick), 'up');
  t.equal(see(1011, tick), 'down', 'five intervals of silence');
  t.equal(state().cause, 'heartbeats missed');
  t.end();
});

test('a progress counter that stands still is death', (t) => {
  const { see, state } = subject();
  t.equal(see(0, beat(7)), 'up');
  t.equal(see(200, beat(7), beat(7), beat(7), beat(7)), 'up');
  t.equal(see(1000, beat(7)), 'down');
  t.equal(state().cause, 'no progress');
  t.end();
});

test('the counter of a restarted engine may fall', (t) => {
  const { see } = subject();
  see(0, beat(1000));
  t.equal(see(200, beat(3), beat(4)), 'up');
  t.end();
});

test('a dead control process does not fail a zone that forwards', (t) => {
  const { see } = subject();
  see(0, beat(1), ok);
  for (let at = 100; at < 20_000; at += 100) see(at, ok, tick);
  t.equal(see(20_000, tick), 'up');
  t.end();
});

test('heartbeats do not keep a zone up whose data path is dead', (t) => {
  const { see } = subject();
  see(0, ok, beat(1));
  t.equal(see(100, miss, beat(2), miss, beat(3), miss, beat(4)), 'down');
  for (let i = 5; i < 100; i++) see(i * 200, miss, beat(i));
  t.equal(see(20_000, beat(200)), 'down', 'nor bring it back');
  t.end();
});

test('a zone of which nothing is known gets its grace', (t) => {
  const { see } = subject();
  t.equal(see(9_999, tick), 'unknown');
  t.equal(see(10_001, tick), 'down');
  t.end();
});

test('a flapping zone stays down twice as long each time', (t) => {
  const { see } = subject();
  let now = 0;
  see(now, ok);
  const downFor = () => {
    see(now, miss, miss, miss);
    const fell = now;
    do now += 100;
    while (see(now, ok) === 'down');
    return now - fell;
  };
  t.equal(downFor(), 1_000);
  t.equal(downFor(), 2_000);
  t.equal(downFor(), 4_000);
  now += 60_001;
  see(now, tick);
  t.equal(downFor(), 1_000, 'a quiet minute is forgiveness');
  t.end();
});

test('recovery needs good observations in a row', (t) => {
  const { see } = subject();
  see(0, ok, miss, miss, miss);
  t.equal(see(5_000, ok, ok, ok, ok, miss), 'down');
  t.equal(see(6_000, ok, ok, ok, ok), 'down');
  t.equal(see(6_100, ok), 'up');
  t.end();
});

test("the observer's own sleep is told from silence", (t) => {
  t.notOk(overslept(100, 100));
  t.notOk(overslept(150, 100));
  t.ok(overslept(400, 100));
  t.end();
});
