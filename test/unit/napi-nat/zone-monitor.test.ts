// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The monitor acts when it should not, or does not when it should: on a
 * manual clock, with probes that the test answers or misses.
 */

import { randomUUID } from 'node:crypto';
import test from 'tape';
import type { Heartbeat, NatZone } from '#lib/model/dataplane.js';
import { readDataplane } from '#test/dataplane.js';
import { type ManualClock, manualClock } from '#test/manual-clock.js';
import { natStore, putFabric } from '#test/nat-store.js';
import type { NapiContext } from '../../../services/napi-nat/context.js';
import type { Observation } from '../../../services/napi-nat/liveness.js';
import { ZoneMonitor } from '../../../services/napi-nat/nat-reform/monitor.js';
import { registerZone } from '../../../services/napi-nat/zone/register.js';

interface Watch {
  ctx: NapiContext;
  clock: ManualClock;
  monitor: ZoneMonitor;
  targets: () => string[];
  /** The zones whose probes are answered; the others' are missed. */
  alive: Set<string>;
  /** Lets time pass: a probe each 100 ms, heartbeat ticks each 200 ms. */
  pass(ms: number): Promise<void>;
  state(uuid: string): Promise<NatZone['state']>;
}

/** Lets the store finish what was begun. */
async function settle(ctx: NapiContext): Promise<void> {
  await ctx.placing.run(async () => {});
  await new Promise((resolve) => setTimeout(resolve, 5));
}

async function watch(t: test.Test, base?: NapiContext): Promise<Watch> {
  const clock = manualClock();
  const stored = base ?? (await natStore(t));
  const nat_reform = {
    ...stored.config.nat_reform,
    probe: { vnet: 16777215, interval_ms: 100, misses: 3 },
    heartbeat: { interval_ms: 200, misses: 5 },
  };
  const ctx = { ...stored, clock, config: { ...stored.config, nat_reform } };
  const alive = new Set<string>();
  let targets: string[] = [];
  let report: (zone: string, seen: Observation) => void = () => {};
  const monitor = new ZoneMonitor(ctx, (given) => {
    report = given;
    return {
      start: async () => {},
      setTargets: (all) => {
        targets = all.map((each) => each.zone);
      },
      stop: () => {},
    };
  });
  await monitor.start();
  t.teardown(() => monitor.stop());
  const probe = () => {
    for (const zone of targets) {
      const type = alive.has(zone) ? 'probe_answered' : 'probe_missed';
      report(zone, { type });
    }
  };
  /** Zones say at least once that they hear. */
  const greet = (zone: string) => {
    const status = monitor.status(zone);
    if (status?.last_heartbeat_ms === null) monitor.heartbeat(zone, beat({}));
  };
  return {
    ctx,
    clock,
    monitor,
    targets: () => targets,
    alive,
    async pass(ms) {
      for (let gone = 0; gone < ms; gone += 100) {
        clock.advance(100);
        probe();
        for (const zone of alive) greet(zone);
        await settle(ctx);
      }
    },
    async state(uuid) {
      const { zones } = await readDataplane(ctx);
      const found = zones.find((each) => each.uuid === uuid);
      if (found === undefined) throw new Error(`no zone ${uuid}`);
      return found.state;
    },
  };
}

async function register(ctx: NapiContext, n: number): Promise<string> {
  const zone = await registerZone(ctx, {
    uuid: randomUUID(),
    ul3_ip: `192.168.12.${n}`,
    ul3_port: 4789,
    external_ip: `9.9.9.${n}`,
    standby: false,
    weight: 1,
  });
  return zone.uuid;
}

function beat(fields: Partial<Heartbeat>): Heartbeat {
  return {
    progress: 1,
    position: 0,
    digest: '',
    announced: [],
    flows: 0,
    ...fields,
  };
}

test('a zone serves from its first sign of life', async (t) => {
  const { ctx, alive, pass, state, targets } = await watch(t);
  const zone = await register(ctx, 6);
  await pass(100);
  t.deepEqual(targets(), [zone], 'a zone that registers is probed');
  t.equal(await state(zone), 'new');
  alive.add(zone);
  await pass(200);
  t.equal(await state(zone), 'up');
});

test('three misses, one failover, and back after hold-down', async (t) => {
  const { ctx, monitor, alive, pass, state, targets } = await watch(t);
  const one = await register(ctx, 6);
  alive.add(one);
  await pass(200);
  await putFabric(ctx, 1, randomUUID());
  const two = await register(ctx, 7);
  alive.add(two);
  await pass(300);
  alive.delete(one);
  await pass(200);
  t.equal(await state(one), 'up', 'two misses are not enough');
  await pass(200);
  t.equal(await state(one), 'down');
  const failover = monitor.status(one)?.last_failover;
  t.equal(failover?.heir, two);
  t.equal(failover?.cause, 'probes missed');
  t.equal(failover?.detect_ms, 300, 'three intervals after the last answer');
  t.deepEqual(targets(), [two], 'who answers at its UL3 now is the heir');
  for (let progress = 1; progress <= 4; progress++) {
    monitor.heartbeat(one, beat({ progress }));
    await pass(200);
  }
  t.equal(await state(one), 'down', 'not yet');
  monitor.heartbeat(one, beat({ progress: 5 }));
  await pass(200);
  monitor.heartbeat(one, beat({ progress: 6 }));
  await pass(200);
  t.equal(await state(one), 'up', 'it is back by its heartbeats');
  t.deepEqual(targets().sort(), [one, two].sort(), 'and probed again');
});

/** Two zones, of which the first fell and the second serves its UL3. */
async function oneFalls(t: test.Test) {
  const watched = await watch(t);
  const { ctx, alive, pass } = watched;
  const one = await register(ctx, 6);
  const two = await register(ctx, 7);
  alive.add(one);
  alive.add(two);
  await pass(300);
  alive.delete(one);
  await pass(400);
  return { ...watched, one, two };
}

test('a zone that has its UL3 back must answer there', async (t) => {
  const { monitor, pass, state, one } = await oneFalls(t);
  let progress = 0;
  const beating = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 200) {
      progress += 1;
      monitor.heartbeat(one, beat({ progress }));
      await pass(200);
    }
  };
  await beating(1600);
  t.equal(await state(one), 'up', 'its daemon is back');
  await beating(9000);
  t.equal(await state(one), 'up', 'it has its grace');
  await beating(2000);
  t.equal(await state(one), 'down', 'its data path never came');
});

test("a stand-in's answers are not the zone's own", async (t) => {
  const { ctx, monitor, alive, pass, state, one, two } = await oneFalls(t);
  let progress = 0;
  /** Both daemons speak; zone 2 knows what there was up to a position. */
  const beating = async (ms: number, position: number) => {
    for (let gone = 0; gone < ms; gone += 200) {
      progress += 1;
      monitor.heartbeat(one, beat({ progress }));
      monitor.heartbeat(two, beat({ progress, position }));
      await pass(200);
    }
  };
  const old = ctx.store.journal.position();
  await beating(1600, old);
  t.equal(await state(one), 'up', 'it has its UL3 back');
  alive.add(one);
  await beating(400, old);
  t.notOk(monitor.status(one)?.probe_ok, 'zone 2 may still answer there');
  t.ok(monitor.deaf().has(one), 'it is to get no new work');
  await beating(400, ctx.store.journal.position());
  t.ok(monitor.status(one)?.probe_ok, 'zone 2 knows, so it is zone 1');
  t.notOk(monitor.deaf().has(one), 'which is as good as any');
});

test('the last zone stays; a zone that joins inherits', async (t) => {
  const { ctx, alive, pass, state } = await watch(t);
  const one = await register(ctx, 6);
  alive.add(one);
  await pass(200);
  await putFabric(ctx, 1, randomUUID());
  alive.delete(one);
  await pass(2000);
  t.equal(await state(one), 'up', 'no action is taken');
  const two = await register(ctx, 7);
  alive.add(two);
  await pass(600);
  t.equal(await state(one), 'down');
  const { publics } = await readDataplane(ctx);
  t.deepEqual(
    publics.map((each) => each.zone_uuid),
    [two],
  );
});

test('all zones silent at once: the work is not thrown about', async (t) => {
  const { ctx, alive, pass } = await watch(t);
  const one = await register(ctx, 6);
  const two = await register(ctx, 7);
  alive.add(one);
  alive.add(two);
  await pass(300);
  await putFabric(ctx, 1, randomUUID());
  await putFabric(ctx, 2, randomUUID());
  const before = await readDataplane(ctx);
  alive.clear();
  await pass(5000);
  const after = await readDataplane(ctx);
  t.deepEqual(after.publics, before.publics);
  t.deepEqual(after.zones, before.zones);
});

test('after a restart nobody is lost before the grace is over', async (t) => {
  const first = await watch(t);
  const one = await register(first.ctx, 6);
  const two = await register(first.ctx, 7);
  first.alive.add(one);
  first.alive.add(two);
  await first.pass(300);
  first.monitor.stop();
  const second = await watch(t, first.ctx);
  second.alive.add(two);
  await second.pass(3000);
  t.equal(await second.state(one), 'up');
  await second.pass(8000);
  t.equal(await second.state(one), 'down', 'then the dead one is');
});

test('a heartbeat says whether the rules are the right ones', async (t) => {
  const { ctx, monitor, alive, pass } = await watch(t);
  const zone = await register(ctx, 6);
  alive.add(zone);
  await pass(200);
  const before = await readDataplane(ctx);
  const reply = monitor.heartbeat(zone, beat(before));
  t.deepEqual(reply, {
    state: 'up',
    position: before.position,
    interval_ms: 200,
  });
  t.equal(monitor.status(zone)?.in_sync, true);
  await putFabric(ctx, 1, randomUUID());
  await pass(100);
  monitor.heartbeat(zone, beat({ ...before, digest: 'f'.repeat(16) }));
  t.equal(monitor.status(zone)?.in_sync, false, 'wrong rules');
  t.throws(() => monitor.heartbeat(randomUUID(), beat({})), /not found/);
});
