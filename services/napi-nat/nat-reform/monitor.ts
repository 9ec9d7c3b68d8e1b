// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Watches the zones: probes and heartbeats go into liveness.ts, its verdicts by
 * decide.ts into act.ts. What is decided is in the store; what is observed is
 * here and is observed anew after a restart.
 *
 * A verdict that cannot be acted upon (the last zone, or all silent at once) is
 * looked at again with every sign, so that a zone which joins inherits at once.
 */

import type { Timer } from '#lib/clock.js';
import { notFound } from '#lib/errors.js';
import type {
  Heartbeat,
  HeartbeatReply,
  NatZone,
} from '#lib/model/dataplane.js';
import type { JournalEntry } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { createDigestTracker } from '../dataplane/digest.js';
import { loadRules } from '../dataplane/snapshot.js';
import {
  isUnproven,
  LIVENESS_DEFAULTS,
  type LivenessConfig,
  type Observation,
  overslept,
} from '../liveness.js';
import type { Prober } from '../probe/prober.js';
import { natZone } from '../zone/record.js';
import { act, drop, lament, raise, share } from './act.js';
import { canServe, decide, isDeaf, type Sight, suspects } from './decide.js';
import { readZones } from './state.js';
import { type ToldBeat, toldBeat } from './told.js';
import {
  isStillLent,
  register,
  see,
  type WatchedZone,
  watchedZone,
  type ZoneStatus,
  zoneStatus,
} from './watch.js';

/** Heartbeat intervals that a zone which lags is waited for. */
const LAG_TURNS = 10;

/** The watch over all zones. */
export class ZoneMonitor {
  readonly #ctx: NapiContext;
  readonly #config: LivenessConfig;
  readonly #prober: Prober | null;
  readonly #leads: () => boolean;
  readonly #zones = new Map<string, WatchedZone>();
  readonly #digests = createDigestTracker();
  /** Entries committed while the first snapshot is being read. */
  #early: JournalEntry[] | null = [];
  #unsubscribe: (() => void)[] = [];
  #timer: Timer | null = null;
  #lastTick = 0;
  /** The journal's position one to two ticks ago: zones should have it. */
  #due = 0;
  #dueNext = 0;

  /**
   * @param makeProber given the two calls that a prober reports to; null when
   *   there is no data path to probe
   * @param leads whether this process decides; others only observe
   */
  constructor(
    ctx: NapiContext,
    makeProber:
      | ((report: (zone: string, seen: Observation) => void) => Prober)
      | null,
    leads: () => boolean = () => true,
  ) {
    this.#leads = leads;
    const { probe, heartbeat } = ctx.config.nat_reform;
    this.#ctx = ctx;
    this.#config = { ...LIVENESS_DEFAULTS, probe, heartbeat };
    this.#prober =
      makeProber?.((zone, seen) => this.#observe(zone, seen)) ?? null;
  }

  /** Reads the zones and begins to watch. */
  async start(): Promise<void> {
    const { store, clock } = this.#ctx;
    this.#unsubscribe = [
      store.journal.onCommit((entries) => {
        if (this.#early) this.#early.push(...entries);
        else this.#follow(entries);
      }),
      store.onTold((text) => this.#told(text)),
    ];
    const position = store.journal.position();
    await loadRules(this.#ctx, this.#digests);
    for (const { value } of await readZones(this.#ctx)) {
      this.#place(natZone(value), position);
    }
    this.#digests.begin(position);
    const early = this.#early ?? [];
    this.#early = null;
    this.#follow(early.filter((entry) => entry.seq > position));
    await this.#prober?.start();
    this.#retarget();
    this.#lastTick = clock.monotonic();
    const { interval_ms } = this.#config.heartbeat;
    this.#timer = clock.every(interval_ms, () => this.#tick());
  }

  /** The newest journal position, with the digest of the rules then. */
  rules(): { position: number; digest: string } {
    return this.#digests.current();
  }

  stop(): void {
    this.#timer?.cancel();
    for (const each of this.#unsubscribe) each();
    this.#prober?.stop();
  }

  /**
   * Takes a zone's heartbeat.
   * @throws ServiceError 404 when the zone is not registered
   */
  heartbeat(uuid: string, beat: Heartbeat): HeartbeatReply {
    const watched = this.#zones.get(uuid);
    if (watched === undefined) throw notFound('NAT zone not found');
    this.#beat(uuid, watched, beat);
    // A zone speaks to one napi-nat; whoever leads must know it too.
    this.#ctx.store.tell(toldBeat(uuid, beat));
    return {
      state: watched.zone.state,
      position: this.#ctx.store.journal.position(),
      interval_ms: this.#config.heartbeat.interval_ms,
    };
  }

  #beat(uuid: string, watched: WatchedZone, beat: Heartbeat): void {
    watched.beat = beat;
    this.#observe(uuid, { type: 'heartbeat', progress: beat.progress });
  }

  /** A heartbeat that another process was sent. */
  #told(text: string): void {
    const { zone, beat } = JSON.parse(text) as ToldBeat;
    const watched = this.#zones.get(zone);
    if (watched !== undefined) this.#beat(zone, watched, beat);
  }

  /** What is known of a zone; null when it is not watched (yet). */
  status(uuid: string): ZoneStatus | null {
    const watched = this.#zones.get(uuid);
    if (watched === undefined) return null;
    const now = this.#ctx.clock.monotonic();
    const digestAt = (at: number) => this.#digests.at(at);
    return zoneStatus(watched, digestAt, now, this.#config);
  }

  /**
   * Resolves when no decision about the zone is under way: who reads a zone's
   * new state from the store then finds its status to match.
   */
  async settled(uuid: string): Promise<void> {
    await this.#zones.get(uuid)?.busy;
  }

  /**
   * Zones that are to inherit nothing from one that is emptied: they do not
   * answer, or lack rules that there are now. Waits a little for those that
   * only lag.
   * @param uuid the zone that is to be emptied
   */
  async laggards(uuid: string): Promise<Set<string>> {
    const { clock, store } = this.#ctx;
    const asked = store.journal.position();
    for (let i = 0; ; i++) {
      const all = this.#sights(asked);
      const now = clock.monotonic();
      const found = suspects(all, uuid, now, this.#config);
      for (const { acknowledged, zone } of all) {
        if (!acknowledged) found.add(zone.uuid);
      }
      const others = all.filter(
        (each) => each.zone.uuid !== uuid && canServe(each),
      );
      const waits = others.length > 0 && i < LAG_TURNS;
      if (!waits || others.some(({ zone }) => !found.has(zone.uuid))) {
        return found;
      }
      await new Promise<void>((resolve) =>
        clock.after(this.#config.heartbeat.interval_ms, resolve),
      );
    }
  }

  /**
   * Zones that serve and have not acknowledged everything up to a position.
   * @returns null as long as no zone serves at all
   */
  waiting(position: number): string[] | null {
    const serving = [...this.#zones.values()].filter(
      ({ zone, liveness }) => canServe({ zone }) && liveness.verdict !== 'down',
    );
    if (serving.length === 0) return null;
    return serving
      .filter((each) => !this.#sight(each, position).acknowledged)
      .map(({ zone }) => zone.uuid);
  }

  /**
   * Zones that are seen by probes at most, and hear nothing of ours; likewise
   * those that are heard and have yet to answer a probe.
   */
  deaf(): Set<string> {
    const now = this.#ctx.clock.monotonic();
    const half = [...this.#zones.values()].filter(
      ({ liveness }) =>
        isDeaf(liveness, now, this.#config) || isUnproven(liveness),
    );
    return new Set(half.map(({ zone }) => zone.uuid));
  }

  /** All zones with their status, for metrics. */
  zones(): { zone: NatZone; status: ZoneStatus }[] {
    return [...this.#zones.values()].map(({ zone }) => ({
      zone,
      status: this.status(zone.uuid) as ZoneStatus,
    }));
  }

  #follow(entries: readonly JournalEntry[]): void {
    this.#digests.follow(entries);
    const changes = entries.filter((entry) => entry.resource === 'nat_zone');
    if (changes.length === 0) return;
    for (const { id, object, seq } of changes) {
      if (object === null) this.#zones.delete(id);
      else this.#place(object as NatZone, seq);
    }
    this.#retarget();
    for (const uuid of this.#zones.keys()) this.#consider(uuid);
  }

  #place(zone: NatZone, position: number): void {
    const known = this.#zones.get(zone.uuid);
    const now = this.#ctx.clock.monotonic();
    if (known) register(known, zone, position, now, this.#config);
    else this.#zones.set(zone.uuid, watchedZone(zone, now, this.#config));
  }

  #retarget(): void {
    const zones = [...this.#zones.values()]
      .map(({ zone }) => zone)
      .filter((zone) => zone.ul3_served_by === null);
    this.#prober?.setTargets(
      zones.map(({ uuid, ul3_ip, ul3_port }) => ({
        zone: uuid,
        ip: ul3_ip,
        port: ul3_port,
      })),
    );
  }

  #tick(): void {
    const now = this.#ctx.clock.monotonic();
    const gap = now - this.#lastTick;
    this.#lastTick = now;
    // Heartbeats that came while this process slept are still unread.
    const slept = overslept(gap, this.#config.heartbeat.interval_ms);
    for (const uuid of slept ? [] : this.#zones.keys()) {
      this.#observe(uuid, { type: 'tick' });
      this.#consider(uuid);
      this.#share(uuid);
    }
    this.#due = this.#dueNext;
    this.#dueNext = this.#ctx.store.journal.position();
  }

  #observe(uuid: string, seen: Observation): void {
    const watched = this.#zones.get(uuid);
    if (watched === undefined) return;
    const now = this.#ctx.clock.monotonic();
    if (seen.type.startsWith('probe_')) {
      const holder = this.#zones.get(watched.lent?.to ?? '');
      if (isStillLent(watched, holder, now, this.#config)) return;
    }
    const changed = see(watched, seen, now, this.#config);
    const { verdict } = watched.liveness;
    const { state } = watched.zone;
    const idle = state === 'new' || state === 'down';
    // What could not be acted on is looked at again with every sign.
    if (changed || verdict === 'down' || (verdict === 'up' && idle)) {
      this.#consider(uuid);
    }
  }

  /** Acts when what is observed and what is decided differ. */
  #consider(uuid: string): void {
    const watched = this.#zones.get(uuid);
    if (watched === undefined || watched.busy !== null) return;
    if (!this.#leads()) return;
    const all = this.#sights();
    const one = this.#sight(watched);
    const now = this.#ctx.clock.monotonic();
    const decision = decide(one, all, now, this.#config);
    if (watched.liveness.verdict === 'up') watched.lamented = false;
    if (decision === 'raise') act(this.#ctx, watched, raise);
    if (decision === 'drop') {
      const silent = suspects(all, uuid, now, this.#config);
      act(this.#ctx, watched, (ctx, lost) => drop(ctx, lost, silent));
    }
    if (decision === 'lament') lament(this.#ctx, watched);
  }

  /** @param due the position that it must have acknowledged */
  #sight({ zone, liveness, beat }: WatchedZone, due = this.#due): Sight {
    const acknowledged =
      beat !== null &&
      beat.position >= due &&
      this.#digests.at(beat.position) === beat.digest;
    return { zone, liveness, acknowledged };
  }

  #sights(due = this.#due): Sight[] {
    return [...this.#zones.values()].map((each) => this.#sight(each, due));
  }

  /** A zone that joined gets some of its share, once it has the rules. */
  #share(uuid: string): void {
    const watched = this.#zones.get(uuid);
    if (watched === undefined || watched.busy !== null) return;
    if (!watched.joining || !this.#leads()) return;
    const now = this.#ctx.clock.monotonic();
    const { acknowledged, zone } = this.#sight(watched);
    const silent = suspects(this.#sights(), '', now, this.#config);
    if (!acknowledged || silent.has(uuid) || zone.state !== 'up') return;
    act(this.#ctx, watched, share);
  }
}
