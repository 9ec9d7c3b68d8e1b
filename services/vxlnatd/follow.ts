// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Follows the control plane: bootstrap from `GET /dataplane`, then changes,
 * and a bootstrap again whenever changes were missed. Holds the world, and is
 * the reconciler's source.
 *
 * A start from disk is careful with addresses: rules are applied at once, but
 * nothing is announced until the control plane has said who serves what now.
 * Only when it does not answer within the grace time does the zone announce
 * what its snapshot says: with nobody to decide otherwise, it is the best
 * knowledge there is (design 4.3, fail static).
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { type Desired, desiredOf, type Remote, type Self } from './desired.js';
import { type Fence, OPEN } from './fence/fence.js';
import { throughTurns } from './leisurely.js';
import { surveyPlaces } from './survey.js';
import { type Change, fold, type Touched, untouched, World } from './world.js';

/** What a `ul3_mapping` item carries. */
interface MappingObject {
  vnet_id: number;
  ip: string;
  mac: string;
  ul3_ip: string | null;
  ul3_port: number | null;
}

/** The control plane's snapshot. */
export interface Fetched {
  world: World;
  /** What the digest is at its position; changes after that may be in it. */
  digest: string;
}

export interface FollowerOptions {
  self: Self;
  fetchWorld: () => Promise<Fetched>;
  clock: Clock;
  log: Logger;
  graceMs: number;
  /** The world, or only its position, has changed. */
  onChange: (dirty: boolean) => void;
  onMapping: (vnet: number, ip: string, remote: Remote | null) => void;
  /** A bootstrap replaced the world: mappings may have been missed too. */
  onBootstrap: () => void;
}

export interface FollowStatus {
  /** Whether the world came from the control plane since the start. */
  bootstrapped: boolean;
  announcing: boolean;
  /** Announcements are withheld: the lease ran out, and peers know better. */
  fenced: boolean;
  bootstraps: number;
  changes: number;
  /** Full comparisons that found a difference at the same position. */
  drifts: number;
}

export class Follower {
  readonly #options: FollowerOptions;
  #world = new World();
  /** Under way. */
  #bootstraps = 0;
  /** Since it was last asked for; null: anything. */
  #touched: Touched | null = null;
  #grace: Timer | null = null;
  #fence: Fence = OPEN;
  readonly #status: FollowStatus = {
    bootstrapped: false,
    announcing: false,
    fenced: false,
    bootstraps: 0,
    changes: 0,
    drifts: 0,
  };

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /**
   * Begins.
   * @param stored the world on disk, or null when there is none
   */
  start(stored: World | null): void {
    if (stored === null) return;
    this.#world = stored;
    this.#changed();
    this.#grace = this.#options.clock.after(this.#options.graceMs, () => {
      this.#options.log.warn(
        { position: this.#world.position },
        'control plane does not answer: serving by the snapshot',
      );
      this.#status.announcing = true;
      this.#readdressed(true, []);
    });
  }

  /** The world now; callers do not change it. */
  world(): World {
    return this.#world;
  }

  position(): number {
    return this.#world.position;
  }

  /** Whether a world was on disk or came from the control plane. */
  known(): boolean {
    return this.#status.bootstrapped || this.#grace !== null;
  }

  desired(): Desired {
    const { all, lost } = this.#fence;
    const announce = this.#status.announcing && !all;
    const own = desiredOf(this.#world, this.#options.self, announce, lost);
    // Without an UL3 the engine forwards nothing, by whatever path.
    return all ? { ...own, ul3s: new Set() } : own;
  }

  touched(): Touched | null {
    const touched = this.#touched;
    this.#touched = untouched();
    return touched;
  }

  /** What must not be announced although the world says so. */
  setFence(fence: Fence): void {
    const { all, lost } = this.#fence;
    this.#fence = fence;
    this.#status.fenced = fence.all || fence.lost.size > 0;
    this.#readdressed(all !== fence.all, [...lost, ...fence.lost]);
  }

  status(): FollowStatus {
    return { ...this.#status };
  }

  /** Takes the control plane's snapshot as the world, whatever was before. */
  async bootstrap(): Promise<number> {
    this.#bootstraps += 1;
    try {
      const { world } = await this.#options.fetchWorld();
      return this.#take(world);
    } finally {
      this.#bootstraps -= 1;
    }
  }

  /**
   * Compares with the control plane and repairs. Changes that arrive while the
   * snapshot is under way make it older than the world: then it says nothing.
   */
  async compare(): Promise<void> {
    // What is on its way is as good, and there may be a million AIPs in it.
    if (this.#bootstraps > 0) return;
    const before = this.#world.position;
    const { world, digest } = await this.#options.fetchWorld();
    const now = this.#world.position;
    const same = world.position === now;
    const drifted = same && this.#world.digest() !== digest;
    if (same && !drifted && this.#status.bootstrapped) {
      // The digest is of rules; placement and zones are simply taken.
      await this.#takePlaces(world);
      return;
    }
    if (drifted) {
      this.#status.drifts += 1;
      this.#options.log.error(
        { position: now, digest },
        'rules differ from the control plane at the same position',
      );
    }
    // Ahead: items on the way will be seen as replays. Behind where we were
    // before asking: the control plane was restored from an older state.
    if (same || world.position > now || world.position < before) {
      this.#take(world);
    }
  }

  /** Folds one changefeed item. */
  change(change: Change): void {
    const fresh = change.seq > this.#world.position;
    const dirty = fold(this.#world, change, this.#touched);
    if (!fresh) return;
    this.#status.changes += 1;
    if (change.resource === 'ul3_mapping') this.#mapping(change);
    this.#options.onChange(dirty);
  }

  /** Nothing that concerns us is missing up to here. */
  moveTo(position: number): void {
    if (position <= this.#world.position) return;
    this.#world.position = position;
    this.#options.onChange(false);
  }

  stop(): void {
    this.#grace?.cancel();
  }

  /** Anything may be other than it was. */
  #changed(): void {
    this.#touched = null;
    this.#options.onChange(true);
  }

  /** Takes placement and zones of a world that has the same rules. */
  async #takePlaces(world: World): Promise<void> {
    const ips = await throughTurns(surveyPlaces(world, this.#world));
    // What was decided meanwhile is not in it.
    if (this.#world.position !== world.position) return;
    const put = (resource: string, id: string, object: object | null) =>
      this.#world.put(resource, id, object, this.#touched);
    for (const ip of ips) put('nat_public', ip, world.publics.get(ip) ?? null);
    for (const id of new Set([
      ...this.#world.zones.keys(),
      ...world.zones.keys(),
    ])) {
      put('nat_zone', id, world.zones.get(id) ?? null);
    }
    this.#options.onChange(true);
  }

  /**
   * What this zone answers for has changed, and no rule: what a fence withdraws
   * must not wait for a walk through everything.
   * @param all whether that is so for every public IP of this zone
   */
  #readdressed(all: boolean, lost: string[]): void {
    const { zone_uuid: self } = this.#options.self;
    for (const ip of lost) this.#touched?.ips.add(ip);
    if (all && this.#touched !== null) {
      for (const [ip, { zone_uuid }] of this.#world.publics) {
        if (zone_uuid === self) this.#touched.ips.add(ip);
      }
    }
    this.#options.onChange(true);
  }

  /** Takes a world of which changes before it may have been missed. */
  #take(world: World): number {
    this.#replace(world);
    this.#options.onBootstrap();
    return world.position;
  }

  #replace(world: World): void {
    this.#grace?.cancel();
    this.#grace = null;
    this.#world = world;
    this.#status.bootstrapped = true;
    this.#status.announcing = true;
    this.#status.bootstraps += 1;
    const { self, log } = this.#options;
    if (!this.#world.zones.has(self.zone_uuid)) {
      log.warn({ zone_uuid: self.zone_uuid }, 'napi-nat has no such zone');
    }
    this.#changed();
  }

  /** An id is `<vnet>,<ip>`; the object is null when the mapping is gone. */
  #mapping(change: Change): void {
    const [vnet, ip] = change.id.split(',');
    if (vnet === undefined || ip === undefined) return;
    const object = change.object as MappingObject | null;
    const remote =
      object === null || object.ul3_ip === null || object.ul3_port === null
        ? null
        : {
            vnet_id: Number(vnet),
            ip,
            mac: object.mac,
            ul3_ip: object.ul3_ip,
            ul3_port: object.ul3_port,
          };
    this.#options.onMapping(Number(vnet), ip, remote);
  }
}
