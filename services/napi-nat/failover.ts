// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: what happens when a zone is lost, and when it returns.
 *
 * "any entries both internal and external must point to alternative available
 * NAT Reform zones" (RFD 158, failure). One batch does it all, so that no
 * reader ever sees half a failover:
 *
 *   outside   every public IP of the zone gets a new zone (`nat_public` events:
 *             survivors announce it)
 *   inside    every default router row points at that zone, with a shootdown
 *             for each compute node of the vnet (`ul3_mapping` events)
 *   zone      state down, `ul3_served_by` = the heir that answers for its UL3
 *             meanwhile (`nat_zone` event)
 *
 * Network and AIP rules do not change: all zones have them already. The router
 * MAC never changes either, so instances notice nothing.
 *
 * Takeover of the UL3 needs a survivor in the same underlay subnet: UL3s count
 * as neighbours when they share a /24, the prefix that Triton's underlay
 * networks have. Elsewhere the rewired rows do the work alone.
 *
 * A zone that returns gets new work only ("keep"), or its share afterwards
 * ("rebalance", nat-reform/share.ts). The last zone keeps its work and its
 * state whatever happens to it.
 *
 * The decision is taken again from fresh reads whenever the ledger or a row
 * changed meanwhile, and it queues before other placements.
 */

import type { ZoneState } from '#lib/model/dataplane.js';
import { cidrOf, contains } from '#lib/net/cidr.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge } from './commit.js';
import type { NapiContext } from './context.js';
import { type Ledger, loadOf, readLedger } from './nat-reform/ledger.js';
import {
  moveChanges,
  putZones,
  type Standing,
  type Zones,
} from './nat-reform/moves.js';
import {
  placementPolicy,
  placementZones,
  readZones,
} from './nat-reform/state.js';
import { type MovePlan, planMove, planRescue } from './placement-moves.js';
import { findPublics } from './public/find.js';
import { placementPublic } from './public/record.js';
import type { ZoneRecord } from './zone/record.js';
import { fallen, passedOn, raised } from './zone/states.js';

/** Zones whose UL3s share this prefix can take over each other's. */
const NEIGHBOUR_BITS = 24;

/** What a failover did. */
export interface FailoverResult {
  /** False: it was the last zone, or already down; nothing changed. */
  moved: boolean;
  heir: string | null;
  publics: number;
  fabrics: number;
  aips: number;
}

const UNCHANGED: FailoverResult = {
  moved: false,
  heir: null,
  publics: 0,
  fabrics: 0,
  aips: 0,
};

/** Everything that a decision about a lost zone needs, read afresh. */
interface Scene extends Standing {
  lost: StoredObject<ZoneRecord>;
  plan: MovePlan | null;
}

/** Whether one zone could answer for another's UL3. */
export function areNeighbours(a: ZoneRecord, b: ZoneRecord): boolean {
  const left = parseIpv4(a.ul3_ip);
  const right = parseIpv4(b.ul3_ip);
  if (left === null || right === null) return false;
  // A takeover moves the address only: it must be served on the same port.
  if (a.ul3_port !== b.ul3_port) return false;
  return contains(cidrOf(left, NEIGHBOUR_BITS), right);
}

/** @param takeover whether an heir is to answer for the lost zone's UL3 */
async function readScene(
  ctx: NapiContext,
  uuid: string,
  suspects: ReadonlySet<string>,
  takeover: boolean,
): Promise<Scene | null> {
  const ledger = await readLedger(ctx.store);
  const zones = await readZones(ctx);
  const lost = zones.find(({ value }) => value.uuid === uuid);
  if (lost === undefined) return null;
  const [snat, aips] = await Promise.all([
    findPublics(ctx, and(eq('kind', 'snat'), eq('zone_uuid', uuid))),
    findPublics(ctx, and(eq('kind', 'aip'), eq('zone_uuid', uuid))),
  ]);
  const trusted = zones.filter(
    ({ value }) => value.uuid === uuid || !suspects.has(value.uuid),
  );
  const near = trusted.filter(
    ({ value }) => takeover && areNeighbours(lost.value, value),
  );
  const plan = planMove({
    lost: uuid,
    zones: placementZones(ctx, trusted, ledger),
    publics: snat
      .map(({ value }) => placementPublic(value))
      .filter((view) => view !== null),
    neighbours: new Set(near.map(({ value }) => value.uuid)),
    policy: placementPolicy(ctx),
  });
  return { lost, zones, snat, aips, ledger, plan };
}

/** The batch that takes a zone's work away, without the zone's own row. */
async function evacuation(
  ctx: NapiContext,
  scene: Scene,
  plan: MovePlan,
): Promise<{ changes: Changes; result: FailoverResult }> {
  const { changes, fabrics, aips } = await moveChanges(ctx, scene, plan.moves);
  const records = scene.zones.map(({ value }) => value);
  const heir = records.find(({ uuid }) => uuid === plan.heir) ?? null;
  const lost = scene.lost.value.uuid;
  const passed = passedOn(records, lost, heir, areNeighbours);
  return {
    changes: merge(putZones(scene.zones, passed), changes),
    result: {
      moved: true,
      heir: plan.heir,
      publics: plan.moves.length,
      fabrics,
      aips,
    },
  };
}

/**
 * Declares a zone lost.
 * @param suspects zones that are thought dead too and must inherit nothing
 * @returns `moved: false` when it is the last zone or is down already
 */
export async function failZone(
  ctx: NapiContext,
  uuid: string,
  suspects: ReadonlySet<string> = new Set(),
): Promise<FailoverResult> {
  return ctx.placing.runNext(() =>
    commit(ctx, async () => {
      const none = { changes: merge(), result: UNCHANGED };
      const scene = await readScene(ctx, uuid, suspects, true);
      if (scene === null || scene.plan === null) return none;
      if (scene.lost.value.state === 'down') return none;
      const { changes, result } = await evacuation(ctx, scene, scene.plan);
      const record = fallen(scene.lost.value, scene.plan.heir);
      const zone = putZones([scene.lost], [record]);
      return { changes: merge(changes, zone), result };
    }),
  );
}

/**
 * Moves the work of a zone that is alive and is to be emptied or deleted. Its
 * UL3 is taken over by nobody: the rewired rows alone must do.
 * @param laggards zones that have not acknowledged the rules: make before
 *   break, they inherit nothing
 * @param finish the rest of the batch, about the zone's own rows
 * @param refuse throws when the zone is the last one and carries work
 */
export async function evacuateZone(
  ctx: NapiContext,
  uuid: string,
  laggards: ReadonlySet<string>,
  finish: (zone: StoredObject<ZoneRecord>) => Promise<Changes>,
  refuse: (zone: ZoneRecord, fabrics: number) => void,
): Promise<FailoverResult> {
  return ctx.placing.runNext(() =>
    commit(ctx, async () => {
      const scene = await readScene(ctx, uuid, laggards, false);
      if (scene === null) return { changes: merge(), result: UNCHANGED };
      const load = loadOf(scene.ledger, uuid);
      if (scene.plan === null) refuse(scene.lost.value, load.fabrics);
      const plan = scene.plan ?? { heir: null, moves: [] };
      const { changes, result } = await evacuation(ctx, scene, plan);
      // Its rows first: events of routers that moved must come after those
      // that say that everything behind the old endpoint is gone.
      return { changes: merge(await finish(scene.lost), changes), result };
    }),
  );
}

/** Work of zones that do not serve, to one that begins to. */
async function rescued(
  ctx: NapiContext,
  uuid: string,
  zones: Zones,
  ledger: Ledger,
): Promise<{ changes: Changes; fabrics: number }> {
  const idle = zones.filter(
    ({ value }) =>
      value.uuid !== uuid &&
      (value.state === 'down' || value.state === 'new') &&
      loadOf(ledger, value.uuid).fabrics > 0,
  );
  const found = await Promise.all(
    idle.map(({ value }) => findPublics(ctx, eq('zone_uuid', value.uuid))),
  );
  const publics = found.flat();
  const snat = publics.filter(({ value }) => value.kind === 'snat');
  const aips = publics.filter(({ value }) => value.kind === 'aip');
  const moves = planRescue({
    to: uuid,
    zones: placementZones(ctx, zones, ledger),
    publics: snat
      .map(({ value }) => placementPublic(value))
      .filter((view) => view !== null),
    policy: placementPolicy(ctx),
  });
  return moveChanges(ctx, { zones, snat, aips, ledger }, moves);
}

/**
 * Declares a zone alive: a new one starts to serve, a lost one returns without
 * its former work, and gets its UL3 back.
 * @returns the state it is in now, or null when it is not registered
 */
export async function restoreZone(
  ctx: NapiContext,
  uuid: string,
): Promise<ZoneState | null> {
  return ctx.placing.runNext(() =>
    commit(ctx, async () => {
      const ledger = await readLedger(ctx.store);
      const zones = await readZones(ctx);
      const stored = zones.find(({ value }) => value.uuid === uuid);
      if (stored === undefined) return { changes: merge(), result: null };
      const before = stored.value;
      if (before.state !== 'new' && before.state !== 'down') {
        return { changes: merge(), result: before.state };
      }
      const rescue = await rescued(ctx, uuid, zones, ledger);
      const { fabrics } = loadOf(ledger, uuid);
      const work = fabrics + rescue.fabrics;
      const record = raised(before, work, placementPolicy(ctx));
      const changes = merge(putZones([stored], [record]), rescue.changes);
      return { changes, result: record.state };
    }),
  );
}
