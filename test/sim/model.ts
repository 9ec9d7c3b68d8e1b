// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the store holds, as plain maps, and the moves that the store would
 * commit: the second half of each decision, written a second time. The first
 * half, what is decided, is napi-nat's own code.
 */

import type {
  Load,
  PlacementPolicy,
  PlacementPublic,
  PlacementZone,
} from '../../services/napi-nat/placement.js';
import type { Move } from '../../services/napi-nat/placement-moves.js';
import {
  placementZone,
  type ZoneRecord,
} from '../../services/napi-nat/zone/record.js';

export interface Fabric {
  id: number;
  owner: string;
  ip: string;
  addresses: number;
  /** The zone that its default router's row leads to. */
  router: string;
  aips: Set<number>;
}

export interface Public extends PlacementPublic {
  fabrics: Set<number>;
  /** Since when it has been with which zone, newest last. */
  history: [number, string][];
}

/** Everything that is decided. */
export class Model {
  readonly policy: PlacementPolicy;
  readonly zones = new Map<string, ZoneRecord>();
  readonly publics = new Map<string, Public>();
  readonly fabrics = new Map<number, Fabric>();
  /** AIP to its fabric and to the zone that announces it. */
  readonly aips = new Map<number, { fabric: number; zone: string }>();
  readonly loads = new Map<string, Load>();
  /** Public IPs of each zone, and of each owner. */
  readonly at = new Map<string, Set<string>>();
  readonly homes = new Map<string, Set<string>>();
  /** Public IPs that changed since somebody last looked. */
  readonly touched = new Set<string>();
  deaf: ReadonlySet<string> = new Set();
  serial = 0;
  now = 0;

  readonly #states = new Map<string, [number, boolean][]>();

  constructor(policy: PlacementPolicy) {
    this.policy = policy;
  }

  load(zone: string): Load {
    return this.loads.get(zone) ?? { fabrics: 0, addresses: 0 };
  }

  views(): PlacementZone[] {
    return [...this.zones.values()].map((zone) =>
      placementZone(zone, this.load(zone.uuid), this.deaf.has(zone.uuid)),
    );
  }

  publicsAt(zone: string): Public[] {
    const ips = [...(this.at.get(zone) ?? [])];
    return ips.map((ip) => this.publics.get(ip) as Public);
  }

  /** Whether a zone was registered and not down at a time. */
  servedAt(uuid: string, time: number): boolean {
    const known = this.#states.get(uuid)?.findLast(([at]) => at <= time);
    return known?.[1] ?? false;
  }

  /**
   * Whether a zone has served all the time since. One that was raised after
   * it last heard anything cannot know of it, and neither need its peers.
   */
  servedSince(uuid: string, time: number): boolean {
    const later = this.#states.get(uuid)?.filter(([at]) => at > time) ?? [];
    return this.servedAt(uuid, time) && later.every(([, serves]) => serves);
  }

  put(zone: ZoneRecord): void {
    const states = this.#states.get(zone.uuid) ?? [];
    states.push([this.now, zone.state !== 'down']);
    this.#states.set(zone.uuid, states);
    this.zones.set(zone.uuid, zone);
    if (!this.at.has(zone.uuid)) this.at.set(zone.uuid, new Set());
  }

  remove(uuid: string): void {
    this.#states.delete(uuid);
    this.zones.delete(uuid);
    this.at.delete(uuid);
    this.loads.delete(uuid);
  }

  #shift(zone: string, by: Load, sign: 1 | -1): void {
    const { fabrics, addresses } = this.load(zone);
    this.loads.set(zone, {
      fabrics: fabrics + sign * by.fabrics,
      addresses: addresses + sign * by.addresses,
    });
  }

  addFabric(
    owner: string,
    addresses: number,
    place: { zone_uuid: string; public_ip: string | null },
    exclusive: boolean,
  ): void {
    this.serial += 1;
    const ip = place.public_ip ?? `ip${this.serial}`;
    const known = this.publics.get(ip) ?? {
      ip,
      zone_uuid: place.zone_uuid,
      owner_uuid: exclusive ? owner : null,
      load: { fabrics: 0, addresses: 0 },
      fabrics: new Set<number>(),
      history: [[this.now, place.zone_uuid]],
    };
    const load = { fabrics: 1, addresses };
    known.load = {
      fabrics: known.load.fabrics + 1,
      addresses: known.load.addresses + addresses,
    };
    known.fabrics.add(this.serial);
    this.publics.set(ip, known);
    this.at.get(known.zone_uuid)?.add(ip);
    this.#shift(known.zone_uuid, load, 1);
    const router = known.zone_uuid;
    const aips = new Set<number>();
    const fabric = { id: this.serial, owner, ip, addresses, router, aips };
    this.fabrics.set(fabric.id, fabric);
    const homes = this.homes.get(owner) ?? new Set();
    this.homes.set(owner, homes.add(ip));
    this.touched.add(ip);
  }

  removeFabric(fabric: Fabric): void {
    const place = this.publics.get(fabric.ip) as Public;
    for (const aip of fabric.aips) this.aips.delete(aip);
    this.fabrics.delete(fabric.id);
    place.fabrics.delete(fabric.id);
    const load = { fabrics: 1, addresses: fabric.addresses };
    place.load = {
      fabrics: place.load.fabrics - 1,
      addresses: place.load.addresses - fabric.addresses,
    };
    this.#shift(place.zone_uuid, load, -1);
    const left = [...place.fabrics].some(
      (id) => this.fabrics.get(id)?.owner === fabric.owner,
    );
    if (!left) this.homes.get(fabric.owner)?.delete(fabric.ip);
    this.touched.add(fabric.ip);
    if (place.fabrics.size > 0) return;
    this.publics.delete(fabric.ip);
    this.at.get(place.zone_uuid)?.delete(fabric.ip);
  }

  addAip(fabric: Fabric): void {
    this.serial += 1;
    fabric.aips.add(this.serial);
    const { zone_uuid: zone } = this.publics.get(fabric.ip) as Public;
    this.aips.set(this.serial, { fabric: fabric.id, zone });
    this.touched.add(fabric.ip);
  }

  /** Public IPs, the routers of their fabrics, and their AIPs. */
  move(moves: readonly Move[]): void {
    for (const { ip, to } of moves) {
      const place = this.publics.get(ip) as Public;
      this.#shift(place.zone_uuid, place.load, -1);
      this.#shift(to, place.load, 1);
      this.at.get(place.zone_uuid)?.delete(ip);
      this.at.get(to)?.add(ip);
      place.zone_uuid = to;
      place.history.push([this.now, to]);
      for (const id of place.fabrics) {
        const fabric = this.fabrics.get(id) as Fabric;
        fabric.router = to;
        for (const aip of fabric.aips) {
          this.aips.set(aip, { fabric: id, zone: to });
        }
      }
      this.touched.add(ip);
    }
  }
}
