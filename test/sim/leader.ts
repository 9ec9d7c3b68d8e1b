// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat's leader without its store and its sockets: the same observations
 * into the same judgement, and each decision twice with its input shuffled, so
 * that an order which should not matter shows.
 */

import type { Rng } from '#test/rng.js';
import { areNeighbours } from '../../services/napi-nat/failover.js';
import {
  LIVENESS_DEFAULTS,
  type Liveness,
  type LivenessConfig,
  type Observation,
  observe,
  probedAgain,
  unknownLiveness,
  unprobed,
} from '../../services/napi-nat/liveness.js';
import {
  decide,
  isDeaf,
  type Sight,
  suspects,
} from '../../services/napi-nat/nat-reform/decide.js';
import {
  type MovePlan,
  planMove,
  planRescue,
  planShare,
} from '../../services/napi-nat/placement-moves.js';
import type { ZoneRecord } from '../../services/napi-nat/zone/record.js';
import {
  fallen,
  passedOn,
  raised,
  settled,
  woken,
} from '../../services/napi-nat/zone/states.js';
import { connected, type Machine } from './machines.js';
import type { Model } from './model.js';

export const CONFIG: LivenessConfig = {
  ...LIVENESS_DEFAULTS,
  probe: { interval_ms: 200, misses: 3 },
  heartbeat: { interval_ms: 200, misses: 5 },
};

export class Leader {
  readonly model: Model;
  readonly machines: Map<string, Machine>;
  readonly rng: Rng;
  readonly sights = new Map<string, Liveness>();
  readonly #served = new Map<string, boolean>();
  /** What was done, for whoever compares two runs. */
  readonly log: string[] = [];
  /** Falls and raises of zones since this leader began: [time, zone]. */
  readonly falls: [number, string][] = [];
  readonly raises: [number, string, number][] = [];

  constructor(model: Model, machines: Map<string, Machine>, rng: Rng) {
    this.model = model;
    this.machines = machines;
    this.rng = rng;
  }

  /** Another process leads: what was observed is observed anew. */
  forget(): void {
    this.sights.clear();
    this.#served.clear();
    this.falls.length = 0;
  }

  /** One probe and one heartbeat of every zone. */
  round(now: number): void {
    for (const uuid of this.model.zones.keys()) this.#watch(uuid, now);
    this.model.deaf = new Set(
      [...this.sights]
        .filter(([, sight]) => isDeaf(sight, now, CONFIG))
        .map(([uuid]) => uuid),
    );
    for (const uuid of [...this.model.zones.keys()]) {
      this.#act(uuid, now);
      this.#share(uuid, now);
    }
  }

  #watch(uuid: string, now: number): void {
    const zone = this.model.zones.get(uuid) as ZoneRecord;
    const machine = this.machines.get(uuid) as Machine;
    let sight = this.sights.get(uuid) ?? unknownLiveness(now, CONFIG);
    const served = zone.ul3_served_by !== undefined;
    const before = this.#served.get(uuid) ?? false;
    this.#served.set(uuid, served);
    if (served && !before) sight = unprobed(sight);
    if (before && !served) sight = probedAgain(sight, now, CONFIG);
    const see = (seen: Observation) => {
      sight = observe(sight, seen, now, CONFIG);
    };
    if (!served) {
      const answers = machine.alive && machine.underlay;
      see({ type: answers ? 'probe_answered' : 'probe_missed' });
    }
    if (connected(machine, true)) {
      see({ type: 'heartbeat', progress: machine.progress });
    }
    see({ type: 'tick' });
    this.sights.set(uuid, sight);
  }

  #seen(uuid: string): Sight {
    const machine = this.machines.get(uuid) as Machine;
    return {
      zone: this.model.zones.get(uuid) as ZoneRecord,
      liveness: this.sights.get(uuid) as Liveness,
      acknowledged: connected(machine, true) && !machine.lags,
    };
  }

  all(): Sight[] {
    return [...this.sights.keys()]
      .filter((uuid) => this.model.zones.has(uuid))
      .map((uuid) => this.#seen(uuid));
  }

  #act(uuid: string, now: number): void {
    const one = this.#seen(uuid);
    const { verdict } = one.liveness;
    const { state } = one.zone;
    // Nearly always: nothing has changed.
    if (verdict === 'unknown') return;
    if (verdict === 'up' && state !== 'new' && state !== 'down') return;
    if (verdict === 'down' && state === 'down') return;
    const decision = decide(one, this.rng.shuffle(this.all()), now, CONFIG);
    if (decision === 'raise') this.raise(uuid, now);
    if (decision === 'drop') this.drop(uuid, now);
  }

  /** The answer, which must not depend on the order of what was asked. */
  #twice<T>(ask: (shuffle: <E>(items: readonly E[]) => E[]) => T): T {
    const first = ask((items) => [...items]);
    if (!this.rng.chance(0.2)) return first;
    const second = ask((items) => this.rng.shuffle(items));
    const [one, two] = [JSON.stringify(first), JSON.stringify(second)];
    if (one !== two) throw new Error(`the order decides: ${one} or ${two}`);
    return first;
  }

  plan(lost: string, none: ReadonlySet<string>, takeover: boolean) {
    const { model } = this;
    const zone = model.zones.get(lost) as ZoneRecord;
    const near = [...model.zones.values()].filter(
      (each) => takeover && !none.has(each.uuid) && areNeighbours(zone, each),
    );
    const trusted = model
      .views()
      .filter(({ uuid }) => uuid === lost || !none.has(uuid));
    return this.#twice((shuffle) =>
      planMove({
        lost,
        zones: shuffle(trusted),
        publics: shuffle(model.publicsAt(lost)),
        neighbours: new Set(shuffle(near).map(({ uuid }) => uuid)),
        policy: model.policy,
      }),
    );
  }

  /** What follows from a plan, but for the zone that is emptied. */
  carryOut(lost: string, plan: MovePlan): void {
    const { model } = this;
    const zones = [...model.zones.values()];
    const heir = model.zones.get(plan.heir ?? '') ?? null;
    const busy = new Set(plan.moves.map(({ to }) => to));
    for (const each of passedOn(zones, lost, heir, areNeighbours)) {
      model.put(each);
    }
    for (const each of woken([...model.zones.values()], busy)) model.put(each);
    model.move(plan.moves);
  }

  drop(uuid: string, now: number): void {
    const none = suspects(this.all(), uuid, now, CONFIG);
    const plan = this.plan(uuid, none, true);
    if (plan === null) throw new Error(`${uuid}: decided without a survivor`);
    for (const { to } of plan.moves) {
      if (none.has(to)) throw new Error(`${to} inherits although suspected`);
    }
    this.carryOut(uuid, plan);
    const zone = this.model.zones.get(uuid) as ZoneRecord;
    this.model.put(fallen(zone, plan.heir));
    const { since } = this.sights.get(uuid) as Liveness;
    this.falls.push([since, uuid]);
    this.log.push(`${now} down ${uuid} heir ${plan.heir}`);
  }

  raise(uuid: string, now: number): void {
    const { model } = this;
    const moves = this.#twice((shuffle) =>
      planRescue({
        to: uuid,
        zones: shuffle(model.views()),
        publics: shuffle([...model.publics.values()]),
        policy: model.policy,
      }),
    );
    model.move(moves);
    const zone = model.zones.get(uuid) as ZoneRecord;
    model.put(raised(zone, model.load(uuid).fabrics, model.policy));
    const fell = this.falls.findLast(([, each]) => each === uuid);
    if (fell) this.raises.push([now, uuid, now - fell[0]]);
    this.log.push(`${now} up ${uuid} rescues ${moves.length}`);
  }

  #share(uuid: string, now: number): void {
    const { model } = this;
    const zone = model.zones.get(uuid) as ZoneRecord;
    if (zone.joining !== true || zone.state !== 'up') return;
    const none = suspects(this.all(), '', now, CONFIG);
    if (none.has(uuid) || !this.#seen(uuid).acknowledged) return;
    const moves = this.#twice((shuffle) =>
      planShare({
        to: uuid,
        zones: shuffle(model.views()),
        publics: shuffle(
          [...model.publics.values()].filter(
            ({ zone_uuid: at }) => !model.deaf.has(at),
          ),
        ),
        policy: model.policy,
        most: 64,
      }),
    );
    if (moves.length === 0) model.put(settled(zone));
    for (const { to } of moves) {
      if (to !== uuid) throw new Error(`a share of ${uuid} goes to ${to}`);
    }
    model.move(moves);
    this.log.push(`${now} share ${uuid} ${moves.length}`);
  }
}
