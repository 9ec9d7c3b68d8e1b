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
 * A zone that returns gets new work only; nothing moves back ("keep"). The
 * last zone keeps its work and its state whatever happens to it.
 *
 * The decision is taken again from fresh reads whenever the ledger or a row
 * changed meanwhile, and it queues before other placements.
 */

import type { ZoneState } from '#lib/model/dataplane.js';
import { cidrOf, contains } from '#lib/net/cidr.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { BatchRequest, StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge } from './commit.js';
import type { NapiContext } from './context.js';
import {
  advancedLedger,
  type Ledger,
  loadOf,
  negated,
  readLedger,
} from './nat-reform/ledger.js';
import {
  findFabricsOf,
  placementPolicy,
  placementZones,
  readZones,
} from './nat-reform/state.js';
import { type MovePlan, planMove } from './placement.js';
import { findPublics } from './public/find.js';
import {
  type PublicRecord,
  placementPublic,
  publicEvent,
  putPublic,
} from './public/record.js';
import { type RouterMove, routersChanges } from './ul3/rows.js';
import { putZone, type ZoneRecord, zoneEvent } from './zone/record.js';

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

type Zones = StoredObject<ZoneRecord>[];
type Publics = StoredObject<PublicRecord>[];

/** Everything that a decision about a lost zone needs, read afresh. */
interface Scene {
  lost: StoredObject<ZoneRecord>;
  zones: Zones;
  snat: Publics;
  aips: Publics;
  ledger: Ledger;
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

async function readScene(
  ctx: NapiContext,
  uuid: string,
  suspects: ReadonlySet<string>,
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
  const near = trusted.filter(({ value }) => areNeighbours(lost.value, value));
  const plan = planMove({
    lost: uuid,
    zones: placementZones(trusted, ledger),
    publics: snat
      .map(({ value }) => placementPublic(value))
      .filter((view) => view !== null),
    neighbours: new Set(near.map(({ value }) => value.uuid)),
    policy: placementPolicy(ctx),
  });
  return { lost, zones, snat, aips, ledger, plan };
}

/** Public IPs to their new zones; AIPs go where their fabric's router goes. */
function movePublics(scene: Scene, plan: MovePlan): Changes {
  const to = new Map(plan.moves.map((move) => [move.ip, move.to]));
  const moved = [...scene.snat, ...scene.aips].flatMap((stored) => {
    const zone = to.get(stored.value.follows ?? stored.value.ip);
    if (zone === undefined) return [];
    return [
      { etag: stored._etag, value: { ...stored.value, zone_uuid: zone } },
    ];
  });
  return {
    requests: moved.map(({ value, etag }) => putPublic(value, etag)),
    events: moved.map(({ value }) => publicEvent(value, 'zone')),
  };
}

/** Default routers of all fabrics on the moved public IPs. */
async function moveRouters(
  ctx: NapiContext,
  scene: Scene,
  plan: MovePlan,
): Promise<{ changes: Changes; fabrics: number }> {
  const lost = scene.lost.value.uuid;
  const found = await Promise.all(
    plan.moves.map(async ({ ip, to }) =>
      (await findFabricsOf(ctx, ip)).map(
        (fabric): RouterMove => ({
          network: fabric,
          router_mac: fabric.router_mac,
          zone_uuid: to,
          previous_zone_uuid: lost,
        }),
      ),
    ),
  );
  const moves = found.flat();
  const changes = await routersChanges(ctx, moves);
  return { changes, fabrics: moves.length };
}

function moveLoad(scene: Scene, plan: MovePlan): BatchRequest {
  const loads = new Map(
    scene.snat.map(({ value }) => [
      value.ip,
      { fabrics: value.fabrics, addresses: value.addresses },
    ]),
  );
  const shifts = plan.moves.flatMap(({ ip, to }) => {
    const load = loads.get(ip);
    if (load === undefined) return [];
    return [
      { zone: scene.lost.value.uuid, load: negated(load) },
      { zone: to, load },
    ];
  });
  return advancedLedger(scene.ledger, shifts);
}

/** UL3s that the lost zone answered for go to its heir where they can. */
function passOnTakeovers(scene: Scene, heir: string | null): Changes {
  const lost = scene.lost.value.uuid;
  const next = scene.zones.find(({ value }) => value.uuid === heir)?.value;
  const served = scene.zones.filter(
    ({ value }) => value.ul3_served_by === lost && value.uuid !== lost,
  );
  const changed = served.map(({ value, _etag }) => {
    const { ul3_served_by: _old, ...rest } = value;
    const can = next !== undefined && areNeighbours(value, next);
    const record: ZoneRecord = can
      ? { ...rest, ul3_served_by: next.uuid }
      : rest;
    return { record, etag: _etag };
  });
  return {
    requests: changed.map(({ record, etag }) => putZone(record, etag)),
    events: changed.map(({ record }) => zoneEvent(record, 'state')),
  };
}

/** A standby zone that was given work is in reserve no more. */
function promote(scene: Scene, plan: MovePlan): Changes {
  const busy = new Set(plan.moves.map((move) => move.to));
  const woken = scene.zones.filter(
    ({ value }) => value.state === 'standby' && busy.has(value.uuid),
  );
  const records = woken.map(({ value, _etag }) => ({
    record: { ...value, state: 'up' as const },
    etag: _etag,
  }));
  return {
    requests: records.map(({ record, etag }) => putZone(record, etag)),
    events: records.map(({ record }) => zoneEvent(record, 'state')),
  };
}

/** The batch that takes a zone's work away, without the zone's own row. */
async function evacuation(
  ctx: NapiContext,
  scene: Scene,
  plan: MovePlan,
): Promise<{ changes: Changes; result: FailoverResult }> {
  const routers = await moveRouters(ctx, scene, plan);
  const changes = merge(
    movePublics(scene, plan),
    passOnTakeovers(scene, plan.heir),
    promote(scene, plan),
    { requests: [moveLoad(scene, plan)], events: [] },
    routers.changes,
  );
  const result = {
    moved: true,
    heir: plan.heir,
    publics: plan.moves.length,
    fabrics: routers.fabrics,
    aips: scene.aips.length,
  };
  return { changes, result };
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
      const scene = await readScene(ctx, uuid, suspects);
      if (scene === null || scene.plan === null) return none;
      if (scene.lost.value.state === 'down') return none;
      const { changes, result } = await evacuation(ctx, scene, scene.plan);
      const { ul3_served_by: _old, ...rest } = scene.lost.value;
      const heir = scene.plan.heir;
      const record: ZoneRecord = {
        ...rest,
        state: 'down',
        ...(heir === null ? {} : { ul3_served_by: heir }),
      };
      const zone: Changes = {
        requests: [putZone(record, scene.lost._etag)],
        events: [zoneEvent(record, 'state')],
      };
      return { changes: merge(changes, zone), result };
    }),
  );
}

/**
 * Moves the work of a zone that is to be deleted, as for a failure.
 * @param finish the rest of the batch, about the zone's own rows
 * @param refuse throws when the zone is the last one and carries work
 */
export async function evacuateZone(
  ctx: NapiContext,
  uuid: string,
  finish: (zone: StoredObject<ZoneRecord>) => Promise<Changes>,
  refuse: (zone: ZoneRecord, fabrics: number) => void,
): Promise<FailoverResult> {
  return ctx.placing.runNext(() =>
    commit(ctx, async () => {
      const scene = await readScene(ctx, uuid, new Set());
      if (scene === null) return { changes: merge(), result: UNCHANGED };
      const load = loadOf(scene.ledger, uuid);
      if (scene.plan === null) refuse(scene.lost.value, load.fabrics);
      const plan = scene.plan ?? { heir: null, moves: [] };
      // A deleted zone's UL3 is nobody's: the rewired rows alone must do.
      const { changes, result } = await evacuation(ctx, scene, plan);
      // Its rows first: events of routers that moved must come after those
      // that say that everything behind the old endpoint is gone.
      return { changes: merge(await finish(scene.lost), changes), result };
    }),
  );
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
      const record = risen(ctx, before, loadOf(ledger, uuid).fabrics);
      const changes: Changes = {
        requests: [putZone(record, stored._etag), advancedLedger(ledger, [])],
        events: [zoneEvent(record, 'state')],
      };
      return { changes, result: record.state };
    }),
  );
}

function risen(
  ctx: NapiContext,
  before: ZoneRecord,
  fabrics: number,
): ZoneRecord {
  const { ul3_served_by: _served, ...rest } = before;
  const held = placementPolicy(ctx).placement === 'standby' && before.standby;
  const state: ZoneState = held && fabrics === 0 ? 'standby' : 'up';
  return { ...rest, state: before.draining === true ? 'draining' : state };
}
