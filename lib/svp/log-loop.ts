// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The shootdown loop of a node, as varpd runs it (facts: svp-portolan-vxlnat
 * 1.8): ask for the log, act on every record, acknowledge those that were
 * acted on, ask again until the log is empty, then idle. `poke` ends the idle
 * time early, for those who hear of a change by another way.
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Ipv4 } from '#lib/net/ipv4.js';
import type { Logger } from '#lib/service/log.js';
import type { SvpClient } from './client.js';
import type { LogRecord, Vl2Record, Vl3Record } from './messages.js';

export interface LogLoopOptions {
  client: Pick<SvpClient, 'logRequest' | 'logRemove'>;
  /** Our own underlay address: whose log it is. */
  underlayIp: Ipv4;
  clock: Clock;
  /** [0, 1). */
  random: () => number;
  log: Logger;
  /**
   * Forgets a MAC's endpoint. Acknowledged once it resolves; a rejected record
   * stays in the log and comes again.
   */
  onVl2: (record: Vl2Record) => Promise<void> | void;
  /** Looks an IP up again and tells the instances; as `onVl2`. */
  onVl3: (record: Vl3Record) => Promise<void> | void;
  /** Idle time: this plus a random share of `jitterMs`. 5 s and 5 s. */
  idleMs?: number;
  jitterMs?: number;
  /** Wait before the next request after one that had work; varpd's is 1 s. */
  workMs?: number;
  maxBytes?: number;
}

export interface LogLoop {
  start(): void;
  /** Asks now, or again right after the request that is under way. */
  poke(): void;
  stop(): void;
}

/**
 * Makes a loop; it does nothing before `start`.
 * @param options client, whose log, handlers and times in milliseconds
 */
export function createLogLoop(options: LogLoopOptions): LogLoop {
  const { client, clock, log } = options;
  let timer: Timer | null = null;
  let running = false;
  let busy = false;
  let poked = false;

  async function act(record: LogRecord): Promise<string | null> {
    try {
      if (record.type === 'vl2') await options.onVl2(record);
      else await options.onVl3(record);
      return record.id;
    } catch (err) {
      log.warn({ err, record }, 'svp: shootdown not done, stays in the log');
      return null;
    }
  }

  /** @returns whether anything was acknowledged */
  async function round(): Promise<boolean> {
    const records = await client.logRequest(
      options.underlayIp,
      options.maxBytes,
    );
    const done = await Promise.all((records ?? []).map(act));
    const ids = done.filter((id) => id !== null);
    if (ids.length > 0) await client.logRemove(ids);
    return ids.length > 0;
  }

  function idleTime(): number {
    const jitter = options.jitterMs ?? 5000;
    return (options.idleMs ?? 5000) + Math.floor(options.random() * jitter);
  }

  async function turn(): Promise<void> {
    timer = null;
    busy = true;
    poked = false;
    let worked = false;
    try {
      worked = await round();
    } catch (err) {
      log.debug({ err }, 'svp: log request failed');
    }
    busy = false;
    if (!running) return;
    const wait = worked ? (options.workMs ?? 1000) : idleTime();
    schedule(poked ? 0 : wait);
  }

  function schedule(ms: number): void {
    timer?.cancel();
    timer = clock.after(ms, () => void turn());
  }

  return {
    start() {
      if (running) return;
      running = true;
      if (!busy) schedule(0);
    },
    poke() {
      poked = true;
      if (running && !busy) schedule(0);
    },
    stop() {
      running = false;
      timer?.cancel();
      timer = null;
    },
  };
}
