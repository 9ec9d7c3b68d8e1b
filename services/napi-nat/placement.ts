// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: who serves what.
 *
 * A public IP is served by one zone (it can be announced once). A fabric goes
 * where its public IP goes, an AIP where the default router of its fabric
 * goes; so the unit that is placed is the *SNAT public IP*, with all fabrics
 * that share it and all AIPs of these fabrics: "Any mappings sharing an
 * external-IP must co-reside on a single NAT Reform zone" (RFD 158, vxlnat).
 *
 * Interface: two decisions, both pure. `placeFabric` gives a new fabric its
 * zone and public IP; `planMove` gives the work of a zone that failed or is
 * removed to survivors. Both read loads, which the caller keeps, so that a
 * decision costs the number of zones and not the number of fabrics.
 *
 * Invariants:
 *  - Deterministic: equal input, in any order, gives an equal answer.
 *  - Nothing moves that need not: only `planMove` moves, and only what the lost
 *    zone served. A zone that returns or joins gets new work only ("keep").
 *  - The last zone is never emptied: "If the failed NAT Reform zone is the LAST
 *    one, no action is taken" (RFD 158, failure).
 *  - Least loaded by weight: fabrics first, then how many private addresses
 *    they cover, then the older zone. This order yields RFD 158's example.
 */

import type { ZoneState } from '#lib/model/dataplane.js';

/** What a zone or public IP carries. */
export interface Load {
  /** Fabric networks. */
  fabrics: number;
  /** Private addresses that these fabric networks span. */
  addresses: number;
}

export interface PlacementPolicy {
  /** May fabrics of several owners use one public IP? */
  sharing: 'shared' | 'per-owner';
  placement: 'spread' | 'standby';
  /** Most fabrics on one shared public IP. */
  max_fabrics_per_public: number;
}

export interface PlacementZone {
  uuid: string;
  state: ZoneState;
  standby: boolean;
  /** Relative share, above 0. */
  weight: number;
  /** When it registered: milliseconds since the epoch. */
  created: number;
  load: Load;
}

/** An SNAT public IP with what sits on it. */
export interface PlacementPublic {
  ip: string;
  zone_uuid: string;
  owner_uuid: string | null;
  load: Load;
}

/** Where a new fabric goes. */
export interface FabricPlacement {
  zone_uuid: string;
  /** Null: a new public IP is to be taken for it. */
  public_ip: string | null;
}

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

/** How willing a zone is to take work; lower is better, null is never. */
function rank(zone: PlacementZone, policy: PlacementPolicy): number {
  const held = policy.placement === 'standby' && zone.standby;
  const idle = zone.load.fabrics === 0;
  switch (zone.state) {
    case 'up':
      return held && idle ? 1 : 0;
    case 'standby':
      return 1;
    case 'new':
      return 2;
    case 'draining':
      return 3;
    case 'down':
      return 4;
  }
}

function compare(a: PlacementZone, b: PlacementZone): number {
  return (
    a.load.fabrics / a.weight - b.load.fabrics / b.weight ||
    a.load.addresses / a.weight - b.load.addresses / b.weight ||
    a.created - b.created ||
    (a.uuid < b.uuid ? -1 : 1)
  );
}

/**
 * The zone that the next work goes to: the least loaded of the most willing.
 * A zone that is down is chosen only when there is no other at all, so that a
 * fabric created then is served as soon as its zone is back.
 * @returns null when there is no zone
 */
export function chooseZone(
  zones: readonly PlacementZone[],
  policy: PlacementPolicy,
): PlacementZone | null {
  const best = Math.min(...zones.map((zone) => rank(zone, policy)));
  const willing = zones.filter((zone) => rank(zone, policy) === best);
  return willing.sort(compare)[0] ?? null;
}

function hasRoom(place: PlacementPublic, policy: PlacementPolicy): boolean {
  return (
    policy.sharing === 'per-owner' ||
    place.load.fabrics < policy.max_fabrics_per_public
  );
}

/**
 * Zone and public IP of a new fabric.
 * @param request.home public IPs that fabrics of the same owner already have;
 *   one of them is preferred, so that a customer has one address outside
 * @param request.shared public IPs that others' fabrics may join; ignored
 *   under `per-owner`
 * @returns null when there is no zone
 */
export function placeFabric(request: {
  zones: readonly PlacementZone[];
  home: readonly PlacementPublic[];
  shared: readonly PlacementPublic[];
  policy: PlacementPolicy;
}): FabricPlacement | null {
  const { zones, home, shared, policy } = request;
  const zone = chooseZone(zones, policy);
  if (zone === null) return null;
  const best = rank(zone, policy);
  const welcome = new Set(
    zones.filter((each) => rank(each, policy) <= best).map((each) => each.uuid),
  );
  const byAge = (a: PlacementPublic, b: PlacementPublic) =>
    a.load.fabrics - b.load.fabrics || (a.ip < b.ip ? -1 : 1);
  const own = home
    .filter((each) => welcome.has(each.zone_uuid) && hasRoom(each, policy))
    .sort(byAge)
    .at(-1);
  if (own) return { zone_uuid: own.zone_uuid, public_ip: own.ip };
  if (policy.sharing === 'per-owner') {
    return { zone_uuid: zone.uuid, public_ip: null };
  }
  const joined = shared
    .filter((each) => each.zone_uuid === zone.uuid && hasRoom(each, policy))
    .sort(byAge)
    .at(-1);
  return { zone_uuid: zone.uuid, public_ip: joined?.ip ?? null };
}

/** Whether a zone can take over work now. */
function survives(zone: PlacementZone, lost: string): boolean {
  return (
    zone.uuid !== lost && ['up', 'standby', 'draining'].includes(zone.state)
  );
}

/**
 * Who gets the work of a zone that failed or is removed. When a survivor can
 * serve the lost UL3 by takeover it gets everything: packets that compute
 * nodes still send to the lost UL3 must leave by the zone that the public IP
 * is announced from. Otherwise the work is spread.
 * @param request.publics the SNAT public IPs of the lost zone
 * @param request.neighbours zones in the lost zone's underlay subnet
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
  const zones = request.zones
    .filter((zone) => survives(zone, lost))
    .map((zone) => ({ ...zone, load: { ...zone.load } }));
  if (zones.length === 0) return null;
  const near = zones.filter((zone) => neighbours.has(zone.uuid));
  const heir = chooseZone(near, policy);
  const ordered = [...request.publics].sort(
    (a, b) =>
      b.load.fabrics - a.load.fabrics ||
      b.load.addresses - a.load.addresses ||
      (a.ip < b.ip ? -1 : 1),
  );
  const moves: Move[] = [];
  for (const each of ordered) {
    const zone = heir ?? (chooseZone(zones, policy) as PlacementZone);
    zone.load.fabrics += each.load.fabrics;
    zone.load.addresses += each.load.addresses;
    moves.push({ ip: each.ip, to: zone.uuid });
  }
  return { heir: heir?.uuid ?? null, moves };
}
