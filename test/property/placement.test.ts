// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Placement breaks an invariant under some order of events: fabrics that share
 * a public IP are split, something moves that need not, the last zone is
 * emptied, or the same events give two answers. The model here keeps what the
 * store keeps: publics with a zone, fabrics with a public.
 */

import test from 'tape';
import type { ZoneState } from '#lib/model/dataplane.js';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';
import {
  type PlacementPolicy,
  type PlacementPublic,
  type PlacementZone,
  placeFabric,
  planMove,
} from '../../services/napi-nat/placement.js';

interface Model {
  zones: PlacementZone[];
  publics: Map<string, PlacementPublic>;
  fabrics: Map<number, { owner: string; ip: string }>;
  owners: Map<string, Set<string>>;
  serial: number;
  log: string[];
}

const STEPS = 400;

function zoneOf(model: Model, fabric: { ip: string }): string {
  return (model.publics.get(fabric.ip) as PlacementPublic).zone_uuid;
}

function shift(model: Model, uuid: string, by: PlacementZone['load']): void {
  const zone = model.zones.find((each) => each.uuid === uuid);
  if (zone === undefined) throw new Error(`no zone ${uuid}`);
  zone.load = {
    fabrics: zone.load.fabrics + by.fabrics,
    addresses: zone.load.addresses + by.addresses,
  };
}

function addFabric(model: Model, rng: Rng, policy: PlacementPolicy): void {
  const owner = `owner${rng.below(12)}`;
  const homes = model.owners.get(owner) ?? new Set();
  const home = [...homes]
    .map((ip) => model.publics.get(ip))
    .filter((each) => each !== undefined);
  const found = placeFabric({
    zones: rng.shuffle(model.zones),
    home: rng.shuffle(home),
    shared: rng.shuffle([...model.publics.values()]),
    policy,
  });
  if (found === null) return;
  model.serial += 1;
  const ip = found.public_ip ?? `ip${model.serial}`;
  const load = { fabrics: 1, addresses: 2 ** rng.between(2, 10) };
  const known = model.publics.get(ip);
  const sum = known ? known.load : { fabrics: 0, addresses: 0 };
  model.publics.set(ip, {
    ip,
    zone_uuid: found.zone_uuid,
    owner_uuid: policy.sharing === 'per-owner' ? owner : null,
    load: {
      fabrics: sum.fabrics + 1,
      addresses: sum.addresses + load.addresses,
    },
  });
  model.fabrics.set(model.serial, { owner, ip });
  model.owners.set(owner, new Set([...homes, ip]));
  shift(model, found.zone_uuid, load);
  model.log.push(`fabric ${model.serial} ${ip} ${found.zone_uuid}`);
}

/** Loses a zone; returns the fabrics that moved. */
function loseZone(model: Model, rng: Rng, policy: PlacementPolicy): number[] {
  const zone = rng.pick(model.zones);
  const before = [...model.fabrics].map(
    ([id, fabric]) => [id, zoneOf(model, fabric)] as const,
  );
  const near = model.zones.filter(() => rng.chance(0.4));
  const mine = [...model.publics.values()].filter(
    (each) => each.zone_uuid === zone.uuid,
  );
  const plan = planMove({
    lost: zone.uuid,
    zones: rng.shuffle(model.zones),
    publics: rng.shuffle(mine),
    neighbours: new Set(near.map((each) => each.uuid)),
    policy,
  });
  if (plan === null) {
    model.log.push(`last ${zone.uuid}`);
    return [];
  }
  for (const { ip, to } of plan.moves) {
    const each = model.publics.get(ip) as PlacementPublic;
    model.publics.set(ip, { ...each, zone_uuid: to });
    shift(model, to, each.load);
    const { fabrics, addresses } = each.load;
    shift(model, zone.uuid, { fabrics: -fabrics, addresses: -addresses });
  }
  zone.state = 'down';
  model.log.push(`lost ${zone.uuid} ${JSON.stringify(plan)}`);
  return before
    .filter(([id, old]) => {
      const fabric = model.fabrics.get(id) as { ip: string };
      const now = zoneOf(model, fabric);
      if (now !== old && old !== zone.uuid) throw new Error(`${id} moved`);
      return now === zone.uuid;
    })
    .map(([id]) => id);
}

function setState(model: Model, rng: Rng): void {
  const zone = rng.pick(model.zones);
  const states: ZoneState[] = zone.standby ? ['standby'] : ['up', 'draining'];
  zone.state = rng.pick(states);
  model.log.push(`${zone.state} ${zone.uuid}`);
}

function newModel(rng: Rng): Model {
  const zones = Array.from({ length: rng.between(1, 6) }, (_, i) => ({
    uuid: `zone${i}`,
    state: 'up' as const,
    standby: rng.chance(0.2),
    weight: rng.between(1, 3),
    created: i,
    load: { fabrics: 0, addresses: 0 },
  }));
  return {
    zones,
    publics: new Map(),
    fabrics: new Map(),
    owners: new Map(),
    serial: 0,
    log: [],
  };
}

/** Plays a story; returns what went wrong and what was decided. */
function play(seed: number): { faults: string[]; log: string[] } {
  const rng = seededRng(seed);
  const policy: PlacementPolicy = {
    sharing: rng.pick(['shared', 'per-owner'] as const),
    placement: rng.pick(['spread', 'standby'] as const),
    max_fabrics_per_public: rng.between(1, 8),
  };
  const model = newModel(rng);
  const faults: string[] = [];
  for (let i = 0; i < STEPS; i++) {
    const dice = rng.float();
    if (dice < 0.75) addFabric(model, rng, policy);
    else if (dice < 0.88) setState(model, rng);
    else {
      const stuck = loseZone(model, rng, policy);
      if (stuck.length > 0) faults.push(`${i}: ${stuck} stayed on a lost zone`);
    }
    faults.push(...violations(model, policy).map((each) => `${i}: ${each}`));
    if (faults.length > 0) break;
  }
  return { faults, log: model.log };
}

function violations(model: Model, policy: PlacementPolicy): string[] {
  const found: string[] = [];
  const loads = new Map<string, number>();
  for (const each of model.publics.values()) {
    const on = [...model.fabrics.values()].filter((f) => f.ip === each.ip);
    const owners = new Set(on.map((fabric) => fabric.owner));
    if (policy.sharing === 'per-owner' && owners.size > 1) {
      found.push(`${each.ip} has owners ${[...owners]}`);
    }
    if (
      policy.sharing === 'shared' &&
      on.length > policy.max_fabrics_per_public
    ) {
      found.push(`${each.ip} has ${on.length} fabrics`);
    }
    loads.set(each.zone_uuid, (loads.get(each.zone_uuid) ?? 0) + on.length);
  }
  for (const zone of model.zones) {
    if (zone.load.fabrics !== (loads.get(zone.uuid) ?? 0)) {
      found.push(`${zone.uuid} has load ${zone.load.fabrics}`);
    }
    if (zone.load.fabrics > 0 && zone.state === 'down') {
      const other = model.zones.some((each) =>
        ['up', 'standby', 'draining'].includes(each.state),
      );
      if (other) found.push(`${zone.uuid} is down with work`);
    }
  }
  return found;
}

test('placement keeps its invariants whatever happens', (t) => {
  const start = seedOfRun();
  for (let i = 0; i < 60; i++) {
    const seed = (start + i) >>> 0;
    const first = play(seed);
    if (first.faults.length > 0) {
      t.fail(`SEED=${seed}: ${first.faults[0]}`);
      break;
    }
    if (JSON.stringify(play(seed).log) !== JSON.stringify(first.log)) {
      t.fail(`SEED=${seed}: two plays of one story differ`);
      break;
    }
  }
  t.pass(`60 stories of ${STEPS} events from seed ${start}`);
  t.end();
});
