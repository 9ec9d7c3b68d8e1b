// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Placement, the second half: work that moves. `planMove` empties a zone that
 * failed or is removed; `planShare` gives a zone that joined what it lacks of
 * its share (RFD 158, "recovery or Adding": the price is the flows of what
 * moves, so it is done only where the policy is `rebalance`). The unit is the
 * SNAT public IP, as everywhere. Pure; see placement.ts.
 */

import {
  chooseZone,
  type PlacementPolicy,
  type PlacementPublic,
  type PlacementZone,
  pinnedZones,
  rank,
} from './placement.js';

/** One public IP, with all that follows it, to another zone. */
export interface Move {
  ip: string;
  to: string;
}

/** The outcome of losing a zone. */
export interface MovePlan {
  /** The survivor that serves the lost zone's UL3 by takeover, or null. */
  heir: string | null;
  moves: Move[];
}

/** Whether a zone can take over work now. */
function survives(zone: PlacementZone, lost: string): boolean {
  return (
    zone.uuid !== lost && ['up', 'standby', 'draining'].includes(zone.state)
  );
}

/** Zones whose loads a plan may count up. */
function copied(zones: readonly PlacementZone[]): PlacementZone[] {
  return zones.map((zone) => ({ ...zone, load: { ...zone.load } }));
}

/** The heaviest first; equal ones in the order of their addresses. */
function byWeight(a: PlacementPublic, b: PlacementPublic): number {
  return (
    b.load.fabrics - a.load.fabrics ||
    b.load.addresses - a.load.addresses ||
    (a.ip < b.ip ? -1 : 1)
  );
}

/**
 * Who gets the work of a zone that failed or is removed. When a survivor can
 * serve the lost UL3 by takeover it gets everything: packets that compute
 * nodes still send to the lost UL3 must leave by the zone that the public IP
 * is announced from. Otherwise the work is spread.
 * @param request.publics the SNAT public IPs of the lost zone
 * @param request.neighbours zones in the lost zone's underlay subnet; none
 *   when nobody is to take its UL3 over
 * @returns null when the lost zone is the last one: nothing is to change
 */
export function planMove(request: {
  lost: string;
  zones: readonly PlacementZone[];
  publics: readonly PlacementPublic[];
  neighbours: ReadonlySet<string>;
  policy: PlacementPolicy;
}): MovePlan | null {
  const { lost, neighbours, policy } = request;
  const zones = copied(request.zones.filter((zone) => survives(zone, lost)));
  if (zones.length === 0) return null;
  const near = zones.filter((zone) => neighbours.has(zone.uuid));
  const heir = chooseZone(near, policy);
  const moves: Move[] = [];
  for (const each of [...request.publics].sort(byWeight)) {
    const zone =
      heir ?? (chooseZone(zones, policy, each.owner_uuid) as PlacementZone);
    zone.load.fabrics += each.load.fabrics;
    zone.load.addresses += each.load.addresses;
    moves.push({ ip: each.ip, to: zone.uuid });
  }
  return { heir: heir?.uuid ?? null, moves };
}

/**
 * Work that sits on zones which do not serve, for one that begins to: it was
 * given to them when there was no other, and waits for whoever comes first.
 * @param request.publics the SNAT public IPs of all zones
 */
export function planRescue(request: {
  to: string;
  zones: readonly PlacementZone[];
  publics: readonly PlacementPublic[];
  policy: PlacementPolicy;
}): Move[] {
  const idle = new Set(
    request.zones
      .filter(({ uuid, state }) => {
        return uuid !== request.to && (state === 'down' || state === 'new');
      })
      .map(({ uuid }) => uuid),
  );
  return [...request.publics]
    .filter((each) => idle.has(each.zone_uuid))
    .sort(byWeight)
    .map(({ ip }) => ({ ip, to: request.to }));
}

/** Fabrics for each unit of weight: what is to be levelled. */
function height(zone: PlacementZone, more = 0): number {
  return (zone.load.fabrics + more) / zone.weight;
}

/**
 * What a zone that joined is to be given: from the zone with the most, the
 * heaviest public IP that leaves the joining zone below where that one was,
 * and so on until none does. The highest zone only ever gets lower, so it
 * ends, and a second plan after the first is empty. Pinned public IPs move to
 * their compute nodes' zone and never away from them.
 * @param request.publics the SNAT public IPs of all zones
 * @param request.most how many moves to plan now
 * @returns nothing when the zone does not serve
 */
export function planShare(request: {
  to: string;
  zones: readonly PlacementZone[];
  publics: readonly PlacementPublic[];
  policy: PlacementPolicy;
  most: number;
}): Move[] {
  const { policy } = request;
  const target = request.zones.find(({ uuid }) => uuid === request.to);
  if (target === undefined || rank(target, policy) !== 0) return [];
  const all = copied(request.zones);
  const to = all.find(({ uuid }) => uuid === request.to) as PlacementZone;
  const at = new Map(all.map((zone) => [zone.uuid, zone]));
  const moves: Move[] = [];
  const movable = new Map<string, PlacementPublic[]>();
  const take = (each: PlacementPublic) => {
    const from = at.get(each.zone_uuid);
    for (const [zone, sign] of [
      [from, -1],
      [to, 1],
    ] as const) {
      if (zone === undefined) continue;
      zone.load.fabrics += sign * each.load.fabrics;
      zone.load.addresses += sign * each.load.addresses;
    }
    moves.push({ ip: each.ip, to: to.uuid });
  };
  const home: PlacementPublic[] = [];
  for (const each of request.publics) {
    if (each.zone_uuid === to.uuid) continue;
    const homes = pinnedZones(all, each.owner_uuid, policy);
    if (homes === null) {
      const others = movable.get(each.zone_uuid);
      if (others === undefined) movable.set(each.zone_uuid, [each]);
      else others.push(each);
    } else if (homes.includes(to) && !homes.some((z) => isAt(each, z))) {
      home.push(each);
    }
  }
  for (const each of home.sort(byWeight).slice(0, request.most)) take(each);
  while (moves.length < request.most) {
    const next = heaviestFit(all, to, movable);
    if (next === null) break;
    take(next);
  }
  return moves;
}

function isAt(each: PlacementPublic, zone: PlacementZone): boolean {
  return each.zone_uuid === zone.uuid;
}

/** The next public IP to level with, taken out of `movable`. */
function heaviestFit(
  zones: readonly PlacementZone[],
  to: PlacementZone,
  movable: Map<string, PlacementPublic[]>,
): PlacementPublic | null {
  const highest = zones
    .filter((zone) => zone !== to && movable.has(zone.uuid))
    .sort((a, b) => height(b) - height(a) || (a.uuid < b.uuid ? -1 : 1))[0];
  if (highest === undefined) return null;
  const all = movable.get(highest.uuid) ?? [];
  const limit = height(highest);
  let found: PlacementPublic | null = null;
  for (const each of all) {
    const { fabrics } = each.load;
    if (fabrics === 0 || height(to, fabrics) >= limit) continue;
    if (found === null || byWeight(each, found) < 0) found = each;
  }
  if (found !== null) all.splice(all.indexOf(found), 1);
  return found;
}
