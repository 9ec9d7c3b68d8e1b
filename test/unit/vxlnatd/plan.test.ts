// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Plans: whatever is applied, a plan leads to what is desired, in an order
 * that the engine accepts, and once there nothing is left to do. Random worlds
 * with few addresses, so that roles and keys collide.
 */

import test from 'tape';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { FakeEngine } from '#test/fake-engine.js';
import { planAll } from '#test/plan-all.js';
import { applySteps } from '../../../services/vxlnatd/apply.js';
import { type Desired, desiredOf } from '../../../services/vxlnatd/desired.js';
import { createRunningDigest } from '../../../services/vxlnatd/digest.js';
import type { Kernel } from '../../../services/vxlnatd/os/kernel.js';
import { nothingApplied, type OsStep } from '../../../services/vxlnatd/plan.js';
import {
  type Change,
  dataplaneOf,
  fold,
  World,
  worldOf,
} from '../../../services/vxlnatd/world.js';
import { generator, randomDataplane, SELF } from './random-dataplane.js';

/** A kernel that refuses to take an address before the engine serves it. */
function fakeKernel(engine: FakeEngine): Kernel {
  return {
    prepare: async () => {},
    observe: async () => null,
    run: async (steps: OsStep[]) =>
      steps.map(({ kind, ip }) =>
        kind === 'take' && !engine.ul3s.has(ip) ? 'not served yet' : null,
      ),
    close: () => {},
  };
}

async function apply(
  desired: Desired,
  engine: FakeEngine,
  applied = nothingApplied(),
  digest = createRunningDigest(),
) {
  const steps = planAll(desired, applied);
  const kernel = fakeKernel(engine);
  return applySteps(engine, kernel, steps, applied, digest);
}

test('a plan leads from any world to any other, and then is empty', async (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = generator(seed);
    const engine = new FakeEngine();
    const applied = nothingApplied();
    const digest = createRunningDigest();
    for (let round = 0; round < 4; round++) {
      const dataplane = randomDataplane(random);
      const desired = desiredOf(worldOf(dataplane), SELF);
      const failures = await apply(desired, engine, applied, digest);
      const fresh = new FakeEngine();
      await apply(desired, fresh);
      const wrong =
        failures.length > 0 ||
        planAll(desired, applied).length > 0 ||
        JSON.stringify(engine.dump()) !== JSON.stringify(fresh.dump()) ||
        digest.text() !== rulesDigest(dataplane.fabrics, dataplane.one_to_ones);
      if (!wrong) continue;
      t.fail(`seed ${seed} round ${round}: ${JSON.stringify(failures[0])}`);
      t.deepEqual(engine.dump(), fresh.dump());
      return;
    }
  }
  t.pass('300 seeds of 4 worlds');
});

test('kernel steps go out many at a time, operations a few', async (t) => {
  const calls: number[] = [];
  const engine = new FakeEngine();
  const honest = engine.apply.bind(engine);
  engine.apply = async (operations) => {
    calls.push(operations.length);
    return honest(operations);
  };
  const kernel = {
    run: async (steps: OsStep[]) => {
      calls.push(steps.length);
      return steps.map(() => null);
    },
  };
  const ips = Array.from(
    { length: 3000 },
    (_, n) => `3.0.${n >> 8}.${n & 255}`,
  );
  const none = nothingApplied();
  const desired = { ...none, routed: new Set(ips), ul3s: new Set(ips) };
  const steps = planAll(desired, none);
  await applySteps(engine, kernel as never, steps, none, createRunningDigest());
  t.deepEqual(calls, [3000, 1024, 1024, 952]);
  t.equal(none.routed.size, 3000);
});

test('a replayed or older change alters nothing', (t) => {
  const random = generator(7);
  const world = worldOf({ ...randomDataplane(random), position: 10 });
  const fabric = [...world.fabrics.values()][0];
  const changes: Change[] = [
    {
      seq: 11,
      resource: 'network',
      id: fabric?.network_uuid ?? '',
      object: null,
    },
    { seq: 12, resource: 'nat_public', id: '3.3.3.2', object: null },
  ];
  for (const change of changes) t.ok(fold(world, change));
  const once = dataplaneOf(world);
  for (const change of changes) t.notOk(fold(world, change));
  t.notOk(
    fold(world, { seq: 5, resource: 'network', id: 'old', object: {} }),
    'below the position',
  );
  t.deepEqual(dataplaneOf(world), once);
  t.equal(world.position, 12);
  t.end();
});

test('a resource that is not ours moves the position only', (t) => {
  const world = new World();
  t.notOk(fold(world, { seq: 3, resource: 'nic', id: 'x', object: {} }));
  t.equal(world.position, 3);
  t.end();
});

test('what is not ours to announce yet is routed and not announced', (t) => {
  const world = worldOf({
    ...randomDataplane(generator(3)),
    fabrics: [],
    one_to_ones: [],
    publics: [
      {
        ip: '3.3.3.2',
        kind: 'snat',
        zone_uuid: 'zone-a',
        owner_uuid: null,
        network_uuid: 'public',
      },
    ],
  });
  for (const zone of world.zones.values()) zone.ul3_served_by = null;
  (world.zones.get('zone-b') as { ul3_served_by: string }).ul3_served_by =
    'zone-a';
  const held = desiredOf(world, SELF, false);
  t.deepEqual([...held.routed], ['3.3.3.2']);
  t.deepEqual([...held.announced], []);
  t.deepEqual([...held.takeovers], []);
  t.deepEqual([...held.ul3s], ['192.168.12.6']);
  const free = desiredOf(world, SELF);
  t.deepEqual([...free.announced], ['3.3.3.2']);
  t.deepEqual([...free.takeovers], ['192.168.12.7']);
  t.deepEqual([...free.ul3s], ['192.168.12.6', '192.168.12.7']);
  t.end();
});

test('a zone whose UL3 another serves does not claim it', (t) => {
  const world = worldOf(randomDataplane(generator(3)));
  (world.zones.get('zone-a') as { ul3_served_by: string }).ul3_served_by =
    'zone-b';
  t.notOk(desiredOf(world, SELF).claims.has('192.168.12.6'));
  t.ok(desiredOf(world, SELF).ul3s.has('192.168.12.6'), 'and still serves it');
  t.end();
});

test('a step that fails is planned again, alone', async (t) => {
  const engine = new FakeEngine();
  const applied = nothingApplied();
  const desired = desiredOf(worldOf(randomDataplane(generator(11))), SELF);
  engine.refuse = (operation) =>
    operation.op === 'add_ul3' ? 'out of memory' : null;
  const failures = await apply(desired, engine, applied);
  t.equal(failures[0]?.message, 'out of memory');
  engine.refuse = () => null;
  t.ok(planAll(desired, applied).every((s) => 'ip' in s));
  t.deepEqual(await apply(desired, engine, applied), []);
  t.deepEqual(planAll(desired, applied), []);
});

test('one bad operation does not take its whole batch with it', async (t) => {
  const engine = new FakeEngine();
  const honest = engine.apply.bind(engine);
  engine.apply = async (operations) => {
    const bad = operations.findIndex(
      (o) => o.op === 'set_rule' && o.vnet === 2,
    );
    if (bad >= 0) throw new Error(`operations[${bad}].prefix: bad`);
    return honest(operations);
  };
  const desired = desiredOf(worldOf(randomDataplane(generator(5))), SELF);
  const failures = await apply(desired, engine);
  const bad = [...desired.rules.values()].filter((r) => r.vnet_id === 2).length;
  t.ok(bad > 0, 'the world has rules of vnet 2');
  t.equal(
    failures.filter((f) => f.step.kind === 'set_rule').length,
    bad,
    'only those fail',
  );
  t.equal(engine.rules.size, desired.rules.size - bad);
});
