// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A story: random things happen to fifty zones and ten thousand fabrics, time
 * passes, the leader looks, and after each event everything must hold.
 */

import { type Rng, seededRng } from '#test/rng.js';
import { suspects } from '../../services/napi-nat/nat-reform/decide.js';
import {
  mayShare,
  type PlacementPolicy,
  placeFabric,
} from '../../services/napi-nat/placement.js';
import type { ZoneRecord } from '../../services/napi-nat/zone/record.js';
import { drained, undrained } from '../../services/napi-nat/zone/states.js';
import { announcements, violations } from './invariants.js';
import { CONFIG, Leader } from './leader.js';
import { keepKnown, live, type Machine, newMachine } from './machines.js';
import { type Fabric, Model } from './model.js';

const ROUND_MS = 200;
const WHOLE_EVERY = 2000;

export interface StoryOptions {
  seed: number;
  policy: Omit<PlacementPolicy, 'pins'>;
  zones: number;
  fabrics: number;
  events: number;
}

export interface Outcome {
  faults: string[];
  log: string[];
  /** How often each kind of event happened. */
  counts: Record<string, number>;
  falls: number;
}

class Story {
  readonly rng: Rng;
  readonly model: Model;
  readonly machines = new Map<string, Machine>();
  readonly leader: Leader;
  readonly #options: StoryOptions;
  readonly counts: Record<string, number> = {};
  now = 0;
  /** Whether the control plane answers. */
  up = true;
  #zones = 0;

  constructor(options: StoryOptions) {
    this.#options = options;
    this.rng = seededRng(options.seed);
    const pins: Record<string, string[]> = {};
    for (let n = 0; n < 40; n += 1)
      pins[`owner${n}`] = [`cn${n}`, `cn${n + 1}`];
    this.model = new Model({ ...options.policy, pins });
    this.leader = new Leader(this.model, this.machines, this.rng);
  }

  begin(): void {
    for (let i = 0; i < this.#options.zones; i += 1) this.addZone();
    this.pass(1000);
    for (let i = 0; i < this.#options.fabrics; i += 1) this.addFabric();
  }

  addZone(): void {
    const n = this.#zones++;
    const uuid = `zone${String(n).padStart(4, '0')}`;
    this.model.put({
      uuid,
      // Ten to a rack: neighbours share a /24.
      ul3_ip: `10.${Math.floor(n / 2560)}.${Math.floor(n / 10) % 256}.${n % 10}`,
      ul3_port: 4789,
      external_ip: '192.0.2.1',
      server_uuid: `cn${n % 50}`,
      state: 'new',
      standby: this.rng.chance(0.1),
      weight: this.rng.between(1, 3),
      created: n,
      v: 1,
    });
    this.machines.set(uuid, newMachine(uuid, this.now));
  }

  addFabric(): void {
    const { model, rng } = this;
    const owner = `owner${rng.below(3000)}`;
    const home = [...(model.homes.get(owner) ?? [])].flatMap(
      (ip) => model.publics.get(ip) ?? [],
    );
    const views = model.views();
    const shares = mayShare(owner, model.policy);
    const place = placeFabric({
      owner,
      zones: views,
      home,
      shared: shares ? [...model.publics.values()] : [],
      policy: model.policy,
    });
    if (place === null) return;
    const at = views.find(({ uuid }) => uuid === place.zone_uuid);
    const serve = views.some(({ state, deaf }) => state === 'up' && !deaf);
    if (serve && (at?.deaf || !['up', 'standby'].includes(at?.state ?? ''))) {
      throw new Error(`new work for ${at?.uuid}, which is ${at?.state}`);
    }
    model.addFabric(owner, 2 ** rng.between(2, 12), place, !shares);
  }

  #fabric(): Fabric | null {
    const ids = this.model.serial;
    for (let i = 0; i < 50; i += 1) {
      const found = this.model.fabrics.get(1 + this.rng.below(ids));
      if (found !== undefined) return found;
    }
    return null;
  }

  #machine(): Machine {
    return this.rng.pick([...this.machines.values()]);
  }

  #change(uuid: string, to: (zone: ZoneRecord) => ZoneRecord): void {
    this.model.put(to(this.model.zones.get(uuid) as ZoneRecord));
  }

  /** Evacuates a zone, or deletes it; the last that serves stays. */
  #empty(uuid: string, remove: boolean): void {
    const { model, leader } = this;
    const none = suspects(leader.all(), uuid, this.now, CONFIG);
    for (const { zone, acknowledged } of leader.all()) {
      if (!acknowledged) none.add(zone.uuid);
    }
    const plan = leader.plan(uuid, none, false);
    if (plan === null && (model.load(uuid).fabrics > 0 || !remove)) return;
    leader.carryOut(uuid, plan ?? { heir: null, moves: [] });
    if (!remove) this.#change(uuid, drained);
    else {
      model.remove(uuid);
      this.machines.delete(uuid);
      leader.sights.delete(uuid);
      this.addZone();
    }
  }

  /** One event of chance; its name. */
  event(): string {
    const { rng } = this;
    if (rng.chance(0.8)) return this.#ofWork(rng.float() / 2);
    const dice = 0.5 + rng.float() / 2;
    const machine = this.#machine();
    const { uuid } = machine;
    if (dice < 0.6) {
      machine.alive = !machine.alive;
      if (machine.alive) {
        machine.leasedUntil = this.now;
        machine.foundAt = this.now;
      } else keepKnown(machine);
      return machine.alive ? 'start' : 'crash';
    }
    if (dice < 0.72) {
      machine.underlay = !machine.underlay;
      return 'underlay';
    }
    if (dice < 0.84) {
      machine.control = !machine.control;
      return 'control';
    }
    if (dice < 0.88) {
      machine.lags = !machine.lags;
      return 'lag';
    }
    if (dice < 0.9) {
      // All at once: a switch, or the leader's own link.
      const cut = rng.chance(0.5);
      for (const each of this.machines.values()) each.underlay = cut;
      return 'switch';
    }
    if (dice < 0.92) {
      for (const each of this.machines.values()) this.#heal(each);
      return 'heal';
    }
    if (dice < (this.up ? 0.925 : 0.97)) {
      this.up = !this.up;
      if (this.up) this.leader.forget();
      return this.up ? 'leader' : 'outage';
    }
    if (!this.up) return 'refused';
    if (dice < 0.95) this.#change(uuid, drained);
    else if (dice < 0.98) this.#change(uuid, undrained);
    else if (this.leader.sights.has(uuid)) this.#empty(uuid, dice > 0.99);
    return 'operator';
  }

  #ofWork(dice: number): string {
    const { model, rng } = this;
    if (!this.up) return 'refused';
    const full = model.fabrics.size >= this.#options.fabrics;
    if (dice < 0.35) {
      const fabric = full ? this.#fabric() : null;
      if (fabric === null) this.addFabric();
      else model.removeFabric(fabric);
      return full ? 'remove fabric' : 'add fabric';
    }
    const fabric = this.#fabric();
    if (fabric === null) return 'refused';
    const [aip] = fabric.aips;
    if (aip === undefined || rng.chance(0.5)) model.addAip(fabric);
    else {
      fabric.aips.delete(aip);
      model.aips.delete(aip);
    }
    return 'aip';
  }

  #heal(machine: Machine): void {
    if (!machine.alive) machine.foundAt = this.now;
    machine.alive = true;
    machine.control = true;
    machine.underlay = true;
    machine.lags = false;
  }

  /** Time passes: zones beat, the leader looks. */
  pass(ms: number): void {
    for (const until = this.now + ms; this.now < until; ) {
      this.now += ROUND_MS;
      this.model.now = this.now;
      for (const machine of this.machines.values()) {
        live(machine, this.machines, this.model, this.up, this.now);
      }
      if (this.up) this.leader.round(this.now);
    }
  }

  faults(whole: boolean): string[] {
    return violations(this, whole);
  }

  announced(): string[] {
    return announcements(this);
  }

  /** All is well again for long enough: everybody must be back. */
  end(): string[] {
    for (const machine of this.machines.values()) this.#heal(machine);
    this.up = true;
    for (const { uuid } of [...this.model.zones.values()]) {
      this.#change(uuid, undrained);
    }
    this.pass(3 * CONFIG.hold_down_max_ms);
    const faults = this.faults(true);
    for (const zone of this.model.zones.values()) {
      const back = zone.state === 'up' || zone.state === 'standby';
      if (!back) faults.push(`${zone.uuid} is ${zone.state} in the end`);
      if (zone.ul3_served_by) faults.push(`${zone.uuid} has not its UL3`);
      if (zone.joining) faults.push(`${zone.uuid} still waits for its share`);
    }
    for (const machine of this.machines.values()) {
      if (machine.fence.all)
        faults.push(`${machine.uuid} is fenced in the end`);
    }
    return faults;
  }
}

/** Plays a story to its end or its first fault. */
export function play(options: StoryOptions): Outcome {
  const story = new Story(options);
  const { counts, leader } = story;
  const outcome: Outcome = { faults: [], log: leader.log, counts, falls: 0 };
  const note = (where: string, faults: string[]) =>
    outcome.faults.push(...faults.map((fault) => `${where}: ${fault}`));
  try {
    story.begin();
    note('beginning', story.faults(true));
    for (let i = 0; i < options.events && outcome.faults.length === 0; i += 1) {
      const name = story.event();
      counts[name] = (counts[name] ?? 0) + 1;
      note(`event ${i} (${name})`, story.faults(i % WHOLE_EVERY === 0));
      if (story.rng.chance(0.3)) story.pass(ROUND_MS);
      else continue;
      note(`round after event ${i} (${name})`, story.announced());
    }
    if (outcome.faults.length === 0) note('end', story.end());
  } catch (error) {
    outcome.faults.push((error as Error).stack ?? String(error));
  }
  outcome.falls = leader.log.filter((line) => line.includes(' down ')).length;
  return outcome;
}
