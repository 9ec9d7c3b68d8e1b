// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The control loop's scope: a pass forgets what an earlier one could not do,
 * or looks at a million rules because one has changed.
 */

import test from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { FakeEngine } from '#test/fake-engine.js';
import { manualClock } from '#test/manual-clock.js';
import { desiredOf } from '../../../services/vxlnatd/desired.js';
import { Reconciler } from '../../../services/vxlnatd/reconcile.js';
import {
  fold,
  type Touched,
  untouched,
  World,
} from '../../../services/vxlnatd/world.js';

function rule(n: number) {
  return {
    network_uuid: `net-${n}`,
    owner_uuid: 'owner',
    vnet_id: n,
    vlan_id: 0,
    subnet: '10.0.0.0/24',
    gateway: '10.0.0.1',
    router_mac: '90:b8:d0:00:00:01',
    nat_reform_public: '3.3.3.2',
  };
}

/** A loop over a world that `add` changes. */
function setUp() {
  const clock = manualClock();
  const engine = new FakeEngine();
  const world = new World();
  let touched: Touched | null = untouched();
  const state = { broken: false };
  const reconciler = new Reconciler({
    engine,
    kernel: {
      prepare: async () => {},
      observe: async () => null,
      run: async (steps) => steps.map(() => null),
      close: () => {},
    },
    source: {
      desired() {
        if (state.broken) throw new Error('broken');
        return desiredOf(world, { zone_uuid: 'z', ul3_ip: '192.168.12.6' });
      },
      touched() {
        const taken = touched;
        touched = untouched();
        return taken;
      },
      position: () => world.position,
      known: () => true,
    },
    clock,
    log: silentLogger(),
  });
  /** @param told false: nobody says that it was touched */
  const add = async (n: number, told = true) => {
    const change = { resource: 'network', id: `net-${n}`, object: rule(n) };
    fold(world, { seq: n, ...change }, told ? touched : null);
    reconciler.kick();
    await reconciler.settled();
  };
  /** As when the world is replaced. */
  const forget = () => {
    touched = null;
  };
  return { clock, engine, reconciler, state, world, add, forget };
}

/** Public IPs that a survey walks through in several turns. */
function addMany(world: World): void {
  for (let n = 0; n < 30_000; n++) {
    const ip = `100.64.${n >> 8}.${n & 255}`;
    const aip = {
      ip,
      kind: 'aip' as const,
      zone_uuid: null,
      owner_uuid: null,
      network_uuid: 'p',
    };
    world.put('nat_public', ip, aip, null);
  }
}

test('a pass looks at what was touched, a recheck at everything', async (t) => {
  const { engine, reconciler, add } = setUp();
  await add(1, false);
  t.equal(engine.rules.size, 1, 'the first looks at everything');
  await add(2, false);
  t.equal(engine.rules.size, 1, 'nobody said so');
  await add(3);
  t.deepEqual(
    [...engine.rules.values()].map(({ vnet }) => vnet),
    [1, 3],
  );
  await reconciler.recheck();
  t.equal(engine.rules.size, 3);
});

test('what was refused is planned again, although not touched', async (t) => {
  const { clock, engine, reconciler, add } = setUp();
  await add(1);
  engine.refuse = ({ op }) => (op === 'set_rule' ? 'no room' : null);
  await add(2);
  t.equal(reconciler.status().position, 1, 'not acknowledged');
  engine.refuse = () => null;
  await add(3);
  t.equal(engine.rules.size, 3);
  t.equal(reconciler.status().position, 3);
  clock.advance(1000);
  await reconciler.settled();
});

test('a pass that breaks off is made again, whole', async (t) => {
  const { clock, engine, reconciler, state, add } = setUp();
  await add(1);
  state.broken = true;
  await add(2);
  t.equal(engine.rules.size, 1);
  state.broken = false;
  clock.advance(1000);
  await reconciler.settled();
  t.equal(engine.rules.size, 2, 'by itself');
  t.equal(reconciler.status().position, 2);
});

test('a pass that broke off acknowledges nothing until all is seen', async (t) => {
  const { clock, engine, reconciler, state, world, add } = setUp();
  addMany(world);
  await add(1);
  state.broken = true;
  await add(2);
  state.broken = false;
  clock.advance(1000);
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(reconciler.status().position, 1, 'the survey goes on');
  await reconciler.settled();
  t.equal(engine.rules.size, 2);
  t.equal(reconciler.status().position, 2);
});

test('what is touched does not wait for a look at everything', async (t) => {
  const { engine, reconciler, world, add } = setUp();
  addMany(world);
  await add(1);
  let ended = false;
  const recheck = reconciler.recheck().then(() => {
    ended = true;
  });
  const change = add(2);
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(ended, false, 'the survey goes on');
  t.equal(engine.rules.size, 2, 'and the change is applied');
  t.equal(reconciler.status().position, 2, 'and acknowledged');
  await Promise.all([recheck, change]);
  t.equal(ended, true);
});

test('a world of which anything may be new is applied in one', async (t) => {
  const { engine, reconciler, world, add, forget } = setUp();
  addMany(world);
  await add(1);
  forget();
  const change = add(2, false);
  const later = add(3);
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(engine.rules.size, 1, 'no part of it before all is known');
  t.equal(reconciler.status().position, 1, 'and nothing acknowledged');
  await Promise.all([change, later]);
  t.equal(engine.rules.size, 3);
  t.equal(reconciler.status().position, 3);
});
