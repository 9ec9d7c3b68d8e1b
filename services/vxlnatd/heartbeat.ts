// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Heartbeats to napi-nat, and the watch over the engine behind them: a beat
 * carries the engine's own progress, so a daemon whose packet worker hangs is
 * seen as such. A failure never touches forwarding.
 */

import type { Clock, Timer } from '#lib/clock.js';
import type {
  Heartbeat,
  HeartbeatReply,
  ZoneState,
} from '#lib/model/dataplane.js';
import type { Logger } from '#lib/service/log.js';

/** No progress for this long means that the packet worker hangs. */
const STALL_MS = 3000;

/** A lease lasts this many beats, and never shorter than this. */
const LEASE_BEATS = 5;
const LEASE_MIN_MS = 1000;

/** A heartbeat that is too long would be refused, and the lease be lost. */
const SHOWN = 1000;

/** The public IPs announced; of very many a thousand. */
export function announcedShown(ips: Iterable<string>): string[] {
  const shown: string[] = [];
  for (const ip of ips) {
    if (shown.length === SHOWN) break;
    shown.push(ip);
  }
  return shown.sort();
}

/** Watches a counter that rises while its owner is alive. */
export class Watch {
  readonly #progress: () => number;
  readonly #clock: Clock;
  #last = -1;
  #since: number;

  constructor(progress: () => number, clock: Clock) {
    this.#progress = progress;
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  /** Reads the counter; call it more often than every three seconds. */
  look(): number {
    const now = this.#progress();
    if (now !== this.#last) {
      this.#last = now;
      this.#since = this.#clock.monotonic();
    }
    return now;
  }

  /** Whether the counter has risen lately. */
  alive(): boolean {
    this.look();
    return this.#clock.monotonic() - this.#since < STALL_MS;
  }
}

export interface HeartbeatOptions {
  send: (beat: Heartbeat) => Promise<HeartbeatReply>;
  beat: () => Heartbeat;
  clock: Clock;
  log: Logger;
  intervalMs: number;
}

export interface HeartbeatStatus {
  sent: number;
  failed: number;
  /** Whether the last beat was answered. */
  ok: boolean;
  /** The zone's state as napi-nat sees it; null before the first answer. */
  state: ZoneState | null;
  /** napi-nat's newest position at the last answer. */
  newest_position: number;
}

/** One beat an interval, never two at once. */
export class HeartbeatLoop {
  readonly #options: HeartbeatOptions;
  #timer: Timer | null = null;
  #busy = false;
  #answeredAt = Number.NEGATIVE_INFINITY;
  readonly #status: HeartbeatStatus = {
    sent: 0,
    failed: 0,
    ok: false,
    state: null,
    newest_position: 0,
  };

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    void this.once();
    this.#timer = this.#options.clock.every(this.#options.intervalMs, () => {
      void this.once();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  status(): HeartbeatStatus {
    return { ...this.#status };
  }

  /**
   * Whether a beat was answered lately: napi-nat knows of this zone and could
   * tell it what it decided.
   */
  leased(): boolean {
    const { clock, intervalMs } = this.#options;
    const limit = Math.max(LEASE_MIN_MS, intervalMs * LEASE_BEATS);
    return clock.monotonic() - this.#answeredAt <= limit;
  }

  /** Sends one beat unless one is under way; never rejects. */
  async once(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const was = this.#status.ok;
    const began = this.#options.clock.monotonic();
    const { log } = this.#options;
    try {
      this.#status.sent += 1;
      const reply = await this.#options.send(this.#options.beat());
      if (reply.state !== this.#status.state) {
        log.info({ from: this.#status.state, to: reply.state }, 'zone state');
      }
      this.#status.ok = true;
      this.#answeredAt = began;
      this.#status.state = reply.state;
      this.#status.newest_position = reply.position;
      if (!was) log.info('heartbeats are answered');
    } catch (err) {
      this.#status.failed += 1;
      this.#status.ok = false;
      // Once for each outage, not five times a second.
      if (was || this.#status.sent === 1) log.warn({ err }, 'heartbeat failed');
    } finally {
      this.#busy = false;
    }
  }
}
