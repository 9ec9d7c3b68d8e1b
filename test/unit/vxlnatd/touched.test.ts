// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A world that is kept in step, and a plan for what a change touches: both
 * must be what they would be if everything were computed anew. Events come in
 * any order, so two rules have the same key for a while, and steps fail.
 */

import test from 'tape';
import type { Dataplane } from '#lib/model/dataplane.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { FakeEngine } from '#test/fake-engine.js';
import { planAll } from '#test/plan-all.js';
import { applySteps } from '../../../services/vxlnatd/apply.js';
import { desiredOf } from '../../../services/vxlnatd/desired.js';
import { createRunningDigest } from '../../../services/vxlnatd/digest.js';

import {
  nothingApplied,
  type OsStep,
  plan,
  type Step,
  touch,
} from '../../../services/vxlnatd/plan.js';
import {
  dataplaneOf,
  fold,
  publicsOf,
  untouched,
  type World,
  worldOf,
} from '../../../services/vxlnatd/world.js';
import { generator, randomDataplane, SELF } from './random-dataplane.js';

type Random = (below: number) => number;
type News = { resource: string; id: string; object: object | null };

/** The events from a world to a data plane, in any order. */
function news(world: World, next: Dataplane, random: Random): News[] {
  const target = worldOf(next);
  const found: News[] = [];
  const lists = [
    ['network', world.fabrics, target.fabrics],
    ['aip', world.one_to_ones, target.one_to_ones],
    ['nat_public', world.publics, target.publics],
    ['nat_zone', world.zones, target.zones],
  ] as const;
  for (const [resource, now, then] of lists) {
    for (const id of now.keys()) {
      if (!then.has(id)) found.push({ resource, id, object: null });
    }
    for (const [id, object] of then) found.push({ resource, id, object });
  }
  const order = new Map(found.map((one) => [one, random(1_000_000)]));
  return found.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
}

/** Null, or in which way the world is not what it is computed to be. */
function faultOf(world: World): string | null {
  const { fabrics, one_to_ones } = dataplaneOf(world);
  const anew = worldOf(dataplaneOf(world));
  const sorted = (map: ReadonlyMap<string, unknown>) =>
    JSON.stringify([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  if (world.digest() !== rulesDigest(fabrics, one_to_ones)) return 'digest';
  if (sorted(world.rules) !== sorted(anew.rules)) return 'rules';
  if (sorted(world.entries) !== sorted(anew.entries)) return 'entries';
  if (sorted(world.uses) !== sorted(anew.uses)) return 'uses';
  const named = new Set([
    ...world.publics.keys(),
    ...fabrics.flatMap(publicsOf),
    ...one_to_ones.map((entry) => entry.public_ip),
  ]);
  const used = [...world.uses.keys()].sort().join();
  return used === [...named].sort().join() ? null : 'public IPs';
}

/** A plan as text: within one kind the order is of no account. */
function textOf(steps: Step[]): string {
  const kinds = steps.map(({ kind }) => kind);
  const order = kinds.filter((kind, i) => kind !== kinds[i - 1]);
  return JSON.stringify([order, steps.map((s) => JSON.stringify(s)).sort()]);
}

/** Lives through some changes; null, or what went wrong. */
async function live(seed: number): Promise<string | null> {
  const random = generator(seed);
  const world = worldOf(randomDataplane(random));
  const engine = new FakeEngine();
  const applied = nothingApplied();
  const digest = createRunningDigest();
  const kernel = {
    run: async (steps: OsStep[]) =>
      steps.map(() => (random(10) === 0 ? 'refused' : null)),
  };
  engine.refuse = () => (random(10) === 0 ? 'refused' : null);
  const apply = (steps: Step[]) =>
    applySteps(engine, kernel as never, steps, applied, digest);
  let failures = await apply(planAll(desiredOf(world, SELF), applied));
  for (let round = 0; round < 8; round++) {
    const touched = untouched();
    for (const { step } of failures) touch(touched, step);
    const changes = news(world, randomDataplane(random), random);
    for (const change of changes.slice(0, 1 + random(changes.length))) {
      fold(world, { seq: world.position + 1, ...change }, touched);
      const fault = faultOf(world);
      if (fault !== null) return `seed ${seed} round ${round}: ${fault}`;
    }
    const desired = desiredOf(world, SELF);
    const steps = plan(desired, applied, touched);
    if (textOf(steps) !== textOf(planAll(desired, applied))) {
      return `seed ${seed} round ${round}: ${textOf(steps)}`;
    }
    failures = await apply(steps);
  }
  return null;
}

test('what a change touches is all that a plan has to look at', async (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const fault = await live(seed);
    if (fault === null) continue;
    t.fail(fault);
    return;
  }
  t.pass('300 seeds of 8 rounds');
});

test('a plan for what is touched walks through nothing else', (t) => {
  const world = worldOf(randomDataplane(generator(3)));
  const walk = (): never => {
    throw new Error('walked through');
  };
  const shut = <T extends object>(whole: T): T =>
    Object.assign(Object.create(whole), {
      keys: walk,
      has: () => true,
      get: () => undefined,
      [Symbol.iterator]: walk,
    });
  const own = desiredOf(world, SELF);
  const desired = {
    ...own,
    rules: shut(own.rules),
    entries: shut(own.entries),
    routed: shut(own.routed),
    announced: shut(own.announced),
  };
  t.throws(() => planAll(desired, nothingApplied()), /walked through/);
  const touched = untouched();
  touched.ips.add('3.3.3.2');
  const kinds = plan(desired, nothingApplied(), touched).map((s) => s.kind);
  t.ok(kinds.includes('route') && kinds.includes('announce'));
  t.end();
});
