// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The folded data plane: the control plane's snapshot and the changes after it,
 * with what a zone needs of it kept in step, so that a change costs the same
 * however many rules there are. Pure: the same events in give the same answer,
 * and an event that is already in the world changes nothing.
 */

import type {
  Dataplane,
  FabricRule,
  NatPublic,
  NatZone,
  OneToOne,
} from '#lib/model/dataplane.js';
import { DigestSum, oneToOneText, ruleText } from '#lib/model/rules-digest.js';

/** One changefeed item, as an extended subscriber receives it. */
export interface Change {
  seq: number;
  resource: string;
  id: string;
  /** The object as it is now; null when it is gone. */
  object: object | null;
}

/** What may be other than it was: keys of rules and entries, public IPs. */
export interface Touched {
  readonly rules: Set<string>;
  readonly entries: Set<string>;
  readonly ips: Set<string>;
}

/** Nothing is other than it was. */
export function untouched(): Touched {
  return { rules: new Set(), entries: new Set(), ips: new Set() };
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

/**
 * Values by a key that one of them has, but for a moment: when the event of a
 * new one overtakes that of the old one's end, the newest counts.
 */
class Newest<T> {
  readonly now = new Map<string, T>();
  /** Those that the newest hides, oldest first. */
  readonly #hidden = new Map<string, T[]>();

  add(key: string, value: T): void {
    const old = this.now.get(key);
    if (old !== undefined) {
      this.#hidden.set(key, [...(this.#hidden.get(key) ?? []), old]);
    }
    this.now.set(key, value);
  }

  remove(key: string, value: T): void {
    const hidden = this.#hidden.get(key) ?? [];
    if (this.now.get(key) !== value) {
      const rest = hidden.filter((each) => each !== value);
      this.#hidden.set(key, rest);
      return;
    }
    const next = hidden.pop();
    if (next === undefined) this.now.delete(key);
    else this.now.set(key, next);
    if (hidden.length === 0) this.#hidden.delete(key);
  }
}

export class World {
  /** Journal position up to which it is complete. */
  position = 0;
  readonly fabrics = new Map<string, FabricRule>();
  readonly one_to_ones = new Map<string, OneToOne>();
  readonly publics = new Map<string, NatPublic>();
  readonly zones = new Map<string, NatZone>();
  readonly #rules = new Newest<FabricRule>();
  readonly #entries = new Newest<OneToOne>();
  readonly #uses = new Map<string, number>();
  readonly #digest = new DigestSum();

  /** By `ruleKey`. */
  get rules(): ReadonlyMap<string, FabricRule> {
    return this.#rules.now;
  }

  /** By `entryKey`. */
  get entries(): ReadonlyMap<string, OneToOne> {
    return this.#entries.now;
  }

  /** Public IPs that anything names, and how many do. */
  get uses(): ReadonlyMap<string, number> {
    return this.#uses;
  }

  /** `rulesDigest` of fabrics and AIPs. */
  digest(): string {
    return this.#digest.text();
  }

  /**
   * Puts what a changefeed resource names.
   * @param object as it is now; null when it is gone
   * @param touched is told what may be other than it was
   * @returns false when the resource is none of ours
   */
  put(
    resource: string,
    id: string,
    object: object | null,
    touched: Touched | null,
  ): boolean {
    switch (resource) {
      case 'network':
        this.#putRule(id, object as FabricRule | null, touched);
        return true;
      case 'aip':
        this.#putEntry(id, object as OneToOne | null, touched);
        return true;
      case 'nat_public': {
        const old = replace(this.publics, id, object as NatPublic | null);
        if (old !== undefined) this.#use([old.ip], -1, touched);
        if (object !== null) this.#use([id], 1, touched);
        return true;
      }
      case 'nat_zone':
        replace(this.zones, id, object as NatZone | null);
        return true;
      default:
        return false;
    }
  }

  #putRule(id: string, rule: FabricRule | null, touched: Touched | null) {
    const old = replace(this.fabrics, id, rule);
    if (old !== undefined) {
      this.#rules.remove(ruleKey(old), old);
      touched?.rules.add(ruleKey(old));
      this.#use(publicsOf(old), -1, touched);
      this.#digest.subtract(ruleText(old));
    }
    if (rule === null) return;
    this.#rules.add(ruleKey(rule), rule);
    touched?.rules.add(ruleKey(rule));
    this.#use(publicsOf(rule), 1, touched);
    this.#digest.add(ruleText(rule));
  }

  #putEntry(id: string, entry: OneToOne | null, touched: Touched | null) {
    const old = replace(this.one_to_ones, id, entry);
    if (old !== undefined) {
      const key = entryKey(old.vnet_id, old.private_ip);
      this.#entries.remove(key, old);
      touched?.entries.add(key);
      this.#use([old.public_ip], -1, touched);
      this.#digest.subtract(oneToOneText(old));
    }
    if (entry === null) return;
    const key = entryKey(entry.vnet_id, entry.private_ip);
    this.#entries.add(key, entry);
    touched?.entries.add(key);
    this.#use([entry.public_ip], 1, touched);
    this.#digest.add(oneToOneText(entry));
  }

  #use(ips: string[], by: 1 | -1, touched: Touched | null): void {
    for (const ip of ips) {
      const uses = (this.#uses.get(ip) ?? 0) + by;
      if (uses === 0) this.#uses.delete(ip);
      else this.#uses.set(ip, uses);
      touched?.ips.add(ip);
    }
  }
}

/** The newest is last, as in `Newest`. @returns what was there */
function replace<T>(
  map: Map<string, T>,
  id: string,
  object: T | null,
): T | undefined {
  const old = map.get(id);
  if (old !== undefined) map.delete(id);
  if (object !== null) map.set(id, object);
  return old;
}

/** The world of a snapshot. */
export function worldOf(dataplane: Dataplane): World {
  const { position, fabrics, one_to_ones, publics, zones } = dataplane;
  const world = new World();
  world.position = position;
  for (const each of fabrics) {
    world.put('network', each.network_uuid, each, null);
  }
  for (const each of one_to_ones) world.put('aip', each.aip_uuid, each, null);
  for (const each of publics) world.put('nat_public', each.ip, each, null);
  for (const each of zones) world.put('nat_zone', each.uuid, each, null);
  return world;
}

/** The snapshot's form of a world; what `worldOf` reads. */
export function dataplaneOf(world: World): Dataplane {
  return {
    position: world.position,
    digest: world.digest(),
    fabrics: [...world.fabrics.values()],
    one_to_ones: [...world.one_to_ones.values()],
    publics: [...world.publics.values()],
    zones: [...world.zones.values()],
  };
}

/**
 * Folds one change into the world.
 * @param touched is told what may be other than it was; null: nobody asks
 * @returns whether the world may look different now. A change at or before
 *   the world's position is already in it and is left out: a replay must not
 *   bring back an older object.
 */
export function fold(
  world: World,
  change: Change,
  touched: Touched | null = null,
): boolean {
  if (change.seq <= world.position) return false;
  world.position = change.seq;
  return world.put(change.resource, change.id, change.object, touched);
}
