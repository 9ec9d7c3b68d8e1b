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
 * Interface: pure decisions. `placeFabric` here gives a new fabric its zone and
 * public IP; placement-moves.ts gives the work of a zone that failed or is
 * removed to survivors, and a zone that joins its share. All read loads, which
 * the caller keeps, so that a decision costs the number of zones and not the
 * number of fabrics.
 *
 * Invariants:
 *  - Deterministic: equal input, in any order, gives an equal answer.
 *  - Nothing moves that need not: what the lost zone served, and under
 *    `rebalance` what a zone that joins lacks of its share. Under `keep`, which
 *    is the default, a zone that returns or joins gets new work only.
 *  - The last zone is never emptied: "If the failed NAT Reform zone is the LAST
 *    one, no action is taken" (RFD 158, failure).
 *  - Least loaded by weight: fabrics first, then how many private addresses
 *    they cover, then the older zone. This order yields RFD 158's example.
 *  - A pinned owner has public IPs of its own, on zones of its compute nodes
 *    while one of these serves; elsewhere rather than nowhere.
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
  /** What a zone that joins or returns is given: new work, or its share. */
  on_join: 'keep' | 'rebalance';
  /** Compute nodes (server UUIDs) whose zones are to serve an owner. */
  pins: Readonly<Record<string, readonly string[]>>;
  /** Most fabrics on one shared public IP. */
  max_fabrics_per_public: number;
}

export interface PlacementZone {
  uuid: string;
  /** The compute node that it runs on. */
  server_uuid: string | null;
  state: ZoneState;
  standby: boolean;
  /** Relative share, above 0. */
  weight: number;
  /** It forwards, and does not hear what is decided. */
  deaf: boolean;
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

/** How willing a zone is to take work; lower is better, null is never. */
export function rank(zone: PlacementZone, policy: PlacementPolicy): number {
  const held = policy.placement === 'standby' && zone.standby;
  const idle = zone.load.fabrics === 0;
  switch (zone.state) {
    case 'up':
      if (zone.deaf) return 3;
      return held && idle ? 1 : 0;
    case 'standby':
      return zone.deaf ? 3 : 1;
    case 'draining':
      return zone.deaf ? 3 : 2;
    case 'new':
      return 4;
    case 'down':
      return 5;
  }
}

/** Which of two equally willing zones comes first: below 0 the left one. */
export function compare(a: PlacementZone, b: PlacementZone): number {
  return (
    a.load.fabrics / a.weight - b.load.fabrics / b.weight ||
    a.load.addresses / a.weight - b.load.addresses / b.weight ||
    a.created - b.created ||
    (a.uuid < b.uuid ? -1 : 1)
  );
}

/** Whether a zone serves, or would as soon as it had work. */
function serves(zone: PlacementZone, policy: PlacementPolicy): boolean {
  return rank(zone, policy) <= 1;
}

/** Zones of an owner's compute nodes; null when the owner is not pinned. */
export function pinnedZones(
  zones: readonly PlacementZone[],
  owner: string | null,
  policy: PlacementPolicy,
): PlacementZone[] | null {
  const nodes = owner === null ? undefined : policy.pins[owner];
  if (nodes === undefined) return null;
  return zones.filter(
    ({ server_uuid: at }) => at !== null && nodes.includes(at),
  );
}

/**
 * The zone that the next work goes to: the least loaded of the most willing.
 * A zone that is down is chosen only when there is no other at all, so that a
 * fabric created then is served as soon as its zone is back.
 * @param owner whose work it is; null for work of several owners
 * @returns null when there is no zone
 */
export function chooseZone(
  zones: readonly PlacementZone[],
  policy: PlacementPolicy,
  owner: string | null = null,
): PlacementZone | null {
  const pinned = pinnedZones(zones, owner, policy)?.filter((zone) =>
    serves(zone, policy),
  );
  const open = pinned !== undefined && pinned.length > 0 ? pinned : zones;
  const best = Math.min(...open.map((zone) => rank(zone, policy)));
  const willing = open.filter((zone) => rank(zone, policy) === best);
  return willing.sort(compare)[0] ?? null;
}

/** Whether an owner's fabrics may share public IPs with others'. */
export function mayShare(owner: string, policy: PlacementPolicy): boolean {
  return policy.sharing === 'shared' && policy.pins[owner] === undefined;
}

/**
 * Zone and public IP of a new fabric.
 * @param request.owner whose fabric it is
 * @param request.home public IPs that fabrics of the same owner already have;
 *   one of them is preferred, so that a customer has one address outside
 * @param request.shared public IPs that others' fabrics may join; ignored for
 *   an owner who does not share
 * @returns null when there is no zone
 */
export function placeFabric(request: {
  owner: string;
  zones: readonly PlacementZone[];
  home: readonly PlacementPublic[];
  shared: readonly PlacementPublic[];
  policy: PlacementPolicy;
}): FabricPlacement | null {
  const { owner, zones, home, shared, policy } = request;
  const zone = chooseZone(zones, policy, owner);
  if (zone === null) return null;
  const shares = mayShare(owner, policy);
  const hasRoom = (place: PlacementPublic) =>
    !shares || place.load.fabrics < policy.max_fabrics_per_public;
  const best = rank(zone, policy);
  const pinned = pinnedZones([zone], owner, policy)?.length === 1;
  const open = pinned ? (pinnedZones(zones, owner, policy) ?? []) : zones;
  const welcome = new Set(
    open.filter((each) => rank(each, policy) <= best).map((each) => each.uuid),
  );
  const byAge = (a: PlacementPublic, b: PlacementPublic) =>
    a.load.fabrics - b.load.fabrics || (a.ip < b.ip ? -1 : 1);
  const own = home
    .filter((each) => shares || each.owner_uuid === owner)
    .filter((each) => welcome.has(each.zone_uuid) && hasRoom(each))
    .sort(byAge)
    .at(-1);
  if (own) return { zone_uuid: own.zone_uuid, public_ip: own.ip };
  if (!shares) return { zone_uuid: zone.uuid, public_ip: null };
  const joined = shared
    .filter((each) => each.owner_uuid === null)
    .filter((each) => each.zone_uuid === zone.uuid && hasRoom(each))
    .sort(byAge)
    .at(-1);
  return { zone_uuid: zone.uuid, public_ip: joined?.ip ?? null };
}
