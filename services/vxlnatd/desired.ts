// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What this zone should be doing, as values: one zone's part of the world. It
 * looks at the world and copies nothing, so it is as the world is when it is
 * asked. Pure.
 */

import type { FabricRule, OneToOne } from '#lib/model/dataplane.js';
import type { Limits } from '#lib/model/rule-options.js';
import type { World } from './world.js';

/** Where an inner address lives, when a file says so instead of SVP. */
export interface Remote {
  vnet_id: number;
  ip: string;
  mac: string;
  ul3_ip: string;
  ul3_port: number;
}

/** Public IPs that are looked up and walked through; a set is one. */
export interface Ips extends Iterable<string> {
  has(ip: string): boolean;
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
  readonly routed: Ips;
  /** Public IPs that this zone answers for. */
  readonly announced: Ips;
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
  const serves = (ip: string) =>
    announce &&
    world.publics.get(ip)?.zone_uuid === self.zone_uuid &&
    !withheld.has(ip);
  const { rules, entries, uses } = world;
  return {
    ul3s,
    takeovers,
    claims,
    rules,
    entries,
    remotes: new Map(),
    limits: new Map(),
    drains: new Set(),
    // Also what only a rule or an entry names: its own event may come later,
    // and replies must not wait for it.
    routed: { has: (ip) => uses.has(ip), [Symbol.iterator]: () => uses.keys() },
    announced: {
      has: serves,
      *[Symbol.iterator]() {
        for (const ip of world.publics.keys()) if (serves(ip)) yield ip;
      },
    },
  };
}
