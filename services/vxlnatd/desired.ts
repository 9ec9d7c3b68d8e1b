// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What this zone should be doing, as values. `World` is the fold of the data
 * plane's snapshot and the changes after it; `desiredOf` is one zone's part of
 * it. Pure: the same events in give the same answer, and an event that is
 * already in the world changes nothing.
 */

import type {
  Dataplane,
  FabricRule,
  NatPublic,
  NatZone,
  OneToOne,
} from '#lib/model/dataplane.js';
import type { Limits } from '#lib/model/rule-options.js';

/** Where an inner address lives, when a file says so instead of SVP. */
export interface Remote {
  vnet_id: number;
  ip: string;
  mac: string;
  ul3_ip: string;
  ul3_port: number;
}

/** The folded data plane. `fold` changes it in place. */
export interface World {
  /** Journal position up to which it is complete. */
  position: number;
  readonly fabrics: Map<string, FabricRule>;
  readonly one_to_ones: Map<string, OneToOne>;
  readonly publics: Map<string, NatPublic>;
  readonly zones: Map<string, NatZone>;
}

/** One changefeed item, as an extended subscriber receives it. */
export interface Change {
  seq: number;
  resource: string;
  id: string;
  /** The object as it is now; null when it is gone. */
  object: object | null;
}

/** One zone's part: what its engine and its kernel should hold. */
export interface Desired {
  /** UL3 addresses that the engine serves: its own and those taken over. */
  readonly ul3s: ReadonlySet<string>;
  /** Those of other zones: addresses to add to the underlay device. */
  readonly takeovers: ReadonlySet<string>;
  /** UL3 addresses to announce as ours on the underlay. */
  readonly claims: ReadonlySet<string>;
  /** By `ruleKey`. */
  readonly rules: ReadonlyMap<string, FabricRule>;
  /** By `entryKey`. */
  readonly entries: ReadonlyMap<string, OneToOne>;
  /** Given ones, by `entryKey`; the resolver's are not here. */
  readonly remotes: ReadonlyMap<string, Remote>;
  /** Limits of whole vnets. */
  readonly limits: ReadonlyMap<number, Limits>;
  /** Public IPs that get no new flows. */
  readonly drains: ReadonlySet<string>;
  /** Public IPs that are routed into the engine. */
  readonly routed: ReadonlySet<string>;
  /** Public IPs that this zone answers for. */
  readonly announced: ReadonlySet<string>;
}

/** The key of an SNAT rule: one for each vnet and prefix. */
export function ruleKey(rule: FabricRule): string {
  return `${rule.vnet_id},${rule.subnet}`;
}

/** Every public address of a rule. */
export function publicsOf(rule: FabricRule): string[] {
  return [rule.nat_reform_public, ...(rule.options?.more_public_ips ?? [])];
}

/** The key of a 1:1 entry or a remote: one for each vnet and inner address. */
export function entryKey(vnet: number, ip: string): string {
  return `${vnet},${ip}`;
}

/** A world that knows nothing yet. */
export function emptyWorld(): World {
  return {
    position: 0,
    fabrics: new Map(),
    one_to_ones: new Map(),
    publics: new Map(),
    zones: new Map(),
  };
}

/** The world of a snapshot. */
export function worldOf(dataplane: Dataplane): World {
  return {
    position: dataplane.position,
    fabrics: new Map(dataplane.fabrics.map((f) => [f.network_uuid, f])),
    one_to_ones: new Map(dataplane.one_to_ones.map((e) => [e.aip_uuid, e])),
    publics: new Map(dataplane.publics.map((p) => [p.ip, p])),
    zones: new Map(dataplane.zones.map((z) => [z.uuid, z])),
  };
}

function put<T>(map: Map<string, T>, id: string, object: object | null): void {
  if (object === null) map.delete(id);
  else map.set(id, object as T);
}

/**
 * Folds one change into the world.
 * @returns whether the world may look different now. A change at or before
 *   the world's position is already in it and is left out: a replay must not
 *   bring back an older object.
 */
export function fold(world: World, change: Change): boolean {
  if (change.seq <= world.position) return false;
  world.position = change.seq;
  switch (change.resource) {
    case 'network':
      put(world.fabrics, change.id, change.object);
      return true;
    case 'aip':
      put(world.one_to_ones, change.id, change.object);
      return true;
    case 'nat_public':
      put(world.publics, change.id, change.object);
      return true;
    case 'nat_zone':
      put(world.zones, change.id, change.object);
      return true;
    default:
      return false;
  }
}

/** What `desiredOf` must know about the zone itself. */
export interface Self {
  zone_uuid: string;
  /** Its own UL3 address: served even before the control plane knows it. */
  ul3_ip: string;
}

/**
 * One zone's part of the world. Rules and 1:1 entries are everyone's (RFD 158:
 * all instances are identically configured), and so is the routing of public
 * IPs into the engine: one that nobody has announced yet can be served at
 * once. What differs is which public IPs are announced and which UL3 addresses
 * are served.
 * @param announce false while it is not known whom the addresses belong to now
 *   (a restart after a failover must not take them back, nor one cut off)
 * @param withheld public IPs that are known to be another's by now
 */
export function desiredOf(
  world: World,
  self: Self,
  announce = true,
  withheld: ReadonlySet<string> = new Set(),
): Desired {
  const ul3s = new Set([self.ul3_ip]);
  const takeovers = new Set<string>();
  const claims = new Set<string>();
  if (announce) {
    const me = world.zones.get(self.zone_uuid);
    if ((me?.ul3_served_by ?? null) === null) claims.add(self.ul3_ip);
    for (const zone of world.zones.values()) {
      if (zone.ul3_served_by !== self.zone_uuid) continue;
      if (zone.uuid === self.zone_uuid || zone.ul3_ip === self.ul3_ip) continue;
      ul3s.add(zone.ul3_ip);
      takeovers.add(zone.ul3_ip);
      claims.add(zone.ul3_ip);
    }
  }
  const routed = new Set<string>();
  const announced = new Set<string>();
  for (const address of world.publics.values()) {
    routed.add(address.ip);
    const mine = address.zone_uuid === self.zone_uuid;
    if (announce && mine && !withheld.has(address.ip)) {
      announced.add(address.ip);
    }
  }
  const rules = new Map<string, FabricRule>();
  for (const rule of world.fabrics.values()) {
    rules.set(ruleKey(rule), rule);
    // Its own event may come after the rule's; replies must not wait for it.
    for (const ip of publicsOf(rule)) routed.add(ip);
  }
  const entries = new Map<string, OneToOne>();
  for (const entry of world.one_to_ones.values()) {
    routed.add(entry.public_ip);
    entries.set(entryKey(entry.vnet_id, entry.private_ip), entry);
  }
  const remotes = new Map<string, Remote>();
  return {
    ul3s,
    takeovers,
    claims,
    rules,
    entries,
    remotes,
    limits: new Map(),
    drains: new Set(),
    routed,
    announced,
  };
}
