// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Announcement by BGP, through BIRD.
 *
 * Purpose. Upstream routers learn which public IPs this zone serves, and only
 * those (RFD 158, "External network routing requirements").
 *
 *     plan --announce, withdraw--> Speaker --bird.conf, birdc--> BIRD == upstream
 *                                     ^---- every second: what is exported?
 *
 * Life of an address. `wanted` while the plan wants it. One that another zone
 * has now is kept for `drain_ms`, asking upstream to use any other way, while
 * the engine still translates what comes; so there is always a way. Any other
 * that is withdrawn goes at once. After a start, what BIRD still announces for
 * our predecessor is held until the control plane has said what is ours: a
 * restart is not seen outside.
 *
 * Failure. A configuration that BIRD refuses is not put in place, and the
 * steps behind it fail. A BIRD that is gone is started again; upstream keeps
 * our routes meanwhile (graceful restart). Should this daemon be gone for good,
 * BIRD goes on announcing, but at the place in the journal where the addresses
 * were ours: the zone that got them after us wins (`medAt`).
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { Sessions } from './bgp-sessions.js';
import type { BgpConfig } from './bgp-settings.js';
import { type Bird, BirdSilent } from './bird.js';
import type { NeighborStatus } from './bird-answers.js';
import {
  birdConfig,
  medAt,
  type Served,
  servedIn,
  WORST_MED,
} from './bird-config.js';
import type { Placement } from './placement.js';

export interface BgpStatus {
  /** Whether BIRD answered when it was asked last. */
  answers: boolean;
  /** Addresses that BIRD is told to announce. */
  announced: number;
  /** Of them, those that are about to go, or held for a predecessor. */
  leaving: number;
  /** How often BIRD had to be started again. */
  restarts: number;
  /** What BIRD last refused or failed at, and when; null: nothing yet. */
  last_error: { time: string; message: string } | null;
  neighbors: NeighborStatus[];
}

/** An address, and who is sent it. */
export interface Prefix {
  ip: string;
  med: number | null;
  /** `leaving`: asks for another way; `held`: a predecessor announced it. */
  state: 'announced' | 'leaving' | 'held';
  /** Neighbours that BIRD sends it to. */
  sent_to: string[];
}

/** What can be seen of a zone that announces by BGP. */
export interface BgpWatch {
  /** As it was at the last look, which is at most a second ago. */
  status(): BgpStatus;
  /** Every address, by asking BIRD, which renews the status. Never throws. */
  prefixes(): Promise<Prefix[]>;
}

export interface SpeakerOptions {
  config: BgpConfig;
  externalIp: string | null;
  bird: Bird;
  placement: Placement;
  clock: Clock;
  log: Logger;
}

interface Entry extends Served {
  /** The plan wants it. */
  wanted: boolean;
  /** When it goes, on the monotonic clock; null: nobody has said. */
  until: number | null;
}

const LOOK_MS = 1000;
/** How long, and how often in it, BIRD is looked at after a change. */
const EXPORT_MS = 2000;
const GLANCE_MS = 20;

export class Speaker implements BgpWatch {
  readonly #options: SpeakerOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #sessions: Sessions;
  #answers = false;
  #restarts = 0;
  #lastError: BgpStatus['last_error'] = null;
  /** One conversation with BIRD at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #looking: Timer | null = null;
  #busy = false;
  /** What BIRD was told last. */
  #loaded = '';

  constructor(options: SpeakerOptions) {
    this.#options = options;
    const { config, bird, log } = options;
    this.#sessions = new Sessions(config, bird, log);
  }

  /**
   * Has BIRD run with our configuration.
   * @throws an Error with what BIRD said
   */
  async prepare(): Promise<void> {
    const { bird, clock } = this.#options;
    const alive = await bird.ask('show status').then(
      () => true,
      (error: unknown) => {
        if (error instanceof BirdSilent) return false;
        throw error;
      },
    );
    const before = await bird.read();
    if (alive) {
      for (const served of servedIn(before)) {
        if (served.leaving) continue;
        this.#entries.set(served.ip, { ...served, wanted: false, until: null });
      }
    }
    const text = this.#text();
    if (!alive) {
      await bird.write(text);
      await bird.start(false);
    } else if (text !== before) {
      await bird.load(text);
    }
    this.#loaded = text;
    this.#looking = clock.every(LOOK_MS, () => void this.look());
    await this.look();
  }

  /** Announces; null, or what went wrong. Never throws. */
  announce(ips: string[]): Promise<string | null> {
    const position = this.#options.placement.position();
    const med = position === null ? null : medAt(position);
    for (const ip of ips) {
      // What is announced already goes on as it is: nothing moves upstream.
      const old = this.#entries.get(ip);
      const kept = old !== undefined && !old.leaving ? old.med : med;
      const entry = { ip, med: kept, leaving: false, wanted: true };
      this.#entries.set(ip, { ...entry, until: null });
    }
    return this.#commit();
  }

  /** Withdraws; null, or what went wrong. Never throws. */
  withdraw(ips: string[]): Promise<string | null> {
    const { placement, clock, config } = this.#options;
    for (const ip of ips) {
      const entry = this.#entries.get(ip);
      if (entry === undefined) continue;
      entry.wanted = false;
      if (!placement.settled()) continue;
      if (!placement.elsewhere(ip)) this.#entries.delete(ip);
      else {
        entry.leaving = true;
        if (entry.med !== null) entry.med = WORST_MED;
        entry.until = clock.monotonic() + config.drain_ms;
      }
    }
    clock.after(config.drain_ms, () => void this.look());
    return this.#commit();
  }

  /**
   * Withdraws everything and waits until upstream has turned away, while what
   * comes is still translated. Never throws.
   */
  async leave(): Promise<void> {
    const { config, log } = this.#options;
    if (this.#entries.size === 0) return;
    this.#entries.clear();
    const fault = await this.#commit();
    if (fault !== null) log.error({ fault }, 'BGP withdrawal');
    await this.#wait(config.drain_ms);
  }

  status(): BgpStatus {
    const entries = [...this.#entries.values()];
    return {
      answers: this.#answers,
      announced: entries.length,
      leaving: entries.filter((entry) => !entry.wanted).length,
      restarts: this.#restarts,
      last_error: this.#lastError,
      neighbors: this.#sessions.neighbors(),
    };
  }

  async prefixes(): Promise<Prefix[]> {
    const sent = await this.#inTurn(async () => {
      await this.#observe();
      return this.#sessions.sent();
    }).catch(() => new Map<string, Set<string>>());
    return [...this.#entries.values()].map(({ ip, med, leaving, wanted }) => ({
      ip,
      med,
      state: leaving ? 'leaving' : wanted ? 'announced' : 'held',
      sent_to: [...sent].filter(([, ips]) => ips.has(ip)).map(([to]) => to),
    }));
  }

  /** Looks at BIRD, and mends what is not as it should be. Never throws. */
  async look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await this.#inTurn(() => this.#lookNow()).catch((error) =>
      this.#failed((error as Error).message),
    );
    this.#busy = false;
  }

  /**
   * Ends the watch.
   * @param keep leaves BIRD announcing, for a successor
   */
  async close(keep: boolean): Promise<void> {
    if (this.#looking === null) return;
    this.#looking.cancel();
    await this.#turn;
    if (keep) return;
    await this.#options.bird.ask('down').catch((err) => {
      this.#options.log.warn({ err }, 'BIRD does not end');
    });
  }

  #text(): string {
    const { config, externalIp } = this.#options;
    return birdConfig(config, externalIp, this.#entries.values());
  }

  async #lookNow(): Promise<void> {
    const same = await this.#observe().catch((error: unknown) => {
      if (error instanceof BirdSilent) return this.#restart(error);
      throw error;
    });
    if (!same) this.#loaded = '';
    this.#expire();
    await this.#load();
  }

  /** Refreshes the status; whether as much is exported as should be. */
  async #observe(): Promise<boolean> {
    try {
      const same = await this.#sessions.observe(this.#entries.size);
      this.#answers = true;
      return same;
    } catch (error) {
      this.#answers = false;
      throw error;
    }
  }

  async #restart({ message }: BirdSilent): Promise<boolean> {
    const { bird, config } = this.#options;
    this.#failed(message);
    if (config.bfd !== null) {
      // BFD that runs out at upstream after the new BGP session is up would
      // end that one too, and our routes with it.
      const { interval_ms, multiplier } = config.bfd;
      await this.#wait(interval_ms * (multiplier + 1));
    }
    const text = this.#text();
    await bird.write(text);
    await bird.start(config.graceful_restart_seconds > 0);
    this.#options.log.warn('BIRD was started again');
    this.#restarts += 1;
    this.#loaded = text;
    this.#answers = true;
    return true;
  }

  /** Remembers what went wrong; the same again is not said again. */
  #failed(message: string): void {
    const { clock, log } = this.#options;
    if (this.#lastError?.message !== message) log.error(`BIRD: ${message}`);
    const time = new Date(clock.now()).toISOString();
    this.#lastError = { time, message };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Drops what is due. */
  #expire(): void {
    const { placement, clock, config } = this.#options;
    const now = clock.monotonic();
    for (const [ip, entry] of this.#entries) {
      if (entry.wanted) continue;
      // The pass that announces what is ours comes after the news.
      if (entry.until === null && placement.settled()) {
        entry.until = now + Math.max(LOOK_MS, config.drain_ms);
      }
      if (entry.until !== null && now >= entry.until) this.#entries.delete(ip);
    }
  }

  /** Tells BIRD what `#entries` say now; whether that is news to it. */
  async #load(): Promise<boolean> {
    const text = this.#text();
    if (text === this.#loaded) return false;
    await this.#options.bird.load(text);
    this.#loaded = text;
    return true;
  }

  /** As `#load`, and sees that BIRD does so; null, or what went wrong. */
  #commit(): Promise<string | null> {
    return this.#inTurn(async () => {
      try {
        if (!(await this.#load())) return null;
        const fault = await this.#exported();
        if (fault === null) return null;
        this.#loaded = '';
        this.#failed(fault);
        return fault;
      } catch (error) {
        const { message } = error as Error;
        this.#failed(message);
        return message;
      }
    });
  }

  /** Waits until BIRD exports what it should; null, or what it does not. */
  async #exported(): Promise<string | null> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + EXPORT_MS;
    for (;;) {
      const should = new Set(this.#entries.keys());
      const fault = await this.#sessions.difference(should);
      if (fault === null || clock.monotonic() >= deadline) return fault;
      await this.#wait(GLANCE_MS);
    }
  }
}
