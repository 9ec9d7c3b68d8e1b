// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which remotes hold most ports of each public IP. Finding them is a walk
 * over all flows, in small parts between packets; everybody who asks within a
 * few seconds shares one walk. With a NAT log it is also watched whether a
 * public IP runs out of ports towards some remote (RFC 8158 section 4.6.9).
 */

import type { Clock } from '#lib/clock.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import type { Logger } from '#lib/service/log.js';
import type { Engine, HotRemoteDto } from '../engine.js';
import type { NatEvent } from '../nat-log/event.js';

/** Ports that one remote can have of a public IP. */
export function portsOf(range: { port_low: number; port_high: number }) {
  return range.port_high - range.port_low + 1;
}

/** Remotes of one public IP that are kept. */
export const HOT_MOST = 100;
/** Less than the usual time between two scrapes. */
const KEPT_MS = 10_000;

export class Hottest {
  readonly #engine: Engine;
  readonly #clock: Clock;
  #found: Promise<HotRemoteDto[]> | null = null;
  #at = 0;

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /**
   * At most ten seconds old, hottest first within each public IP.
   * @param most remotes of each public IP, up to HOT_MOST
   */
  async list(most: number): Promise<HotRemoteDto[]> {
    const now = this.#clock.monotonic();
    if (this.#found === null || now - this.#at >= KEPT_MS) {
      this.#at = now;
      const walk = this.#engine.hot(HOT_MOST);
      this.#found = walk;
      // What failed is not kept.
      walk.catch(() => {
        if (this.#found === walk) this.#found = null;
      });
    }
    const seen = new Map<string, number>();
    return (await this.#found).filter(({ public_ip }) => {
      const rank = (seen.get(public_ip) ?? 0) + 1;
      seen.set(public_ip, rank);
      return rank <= most;
    });
  }
}

/** Shares of the ports at which it is told that they run out, and no more. */
const HIGH = 0.7;
const LOW = 0.6;
const POOLS_EVERY_MS = 60_000;

/** Tells when a public IP runs out of ports, and when it is over. */
export class PoolWatch {
  readonly #hottest: Hottest;
  readonly #ports: number;
  readonly #write: (events: NatEvent[]) => void;
  readonly #high = new Set<string>();

  /** @param ports of a public IP towards one remote */
  constructor(
    hottest: Hottest,
    ports: number,
    write: (events: NatEvent[]) => void,
  ) {
    this.#hottest = hottest;
    this.#ports = ports;
    this.#write = write;
  }

  /**
   * Looks once a minute.
   * @returns what ends it
   */
  start(clock: Clock, log: Logger): () => void {
    const timer = clock.every(POOLS_EVERY_MS, () => {
      this.look(clock.now()).catch((err) => log.error({ err }, 'pools'));
    });
    return () => timer.cancel();
  }

  /** @param now milliseconds since 1970 */
  async look(now: number): Promise<void> {
    const found = await this.#hottest.list(1);
    const used = new Map(found.map((each) => [each.public_ip, each.flows]));
    const high = [...used].filter(([, flows]) => flows >= HIGH * this.#ports);
    const risen = high.map(([ip]) => ip).filter((ip) => !this.#high.has(ip));
    const fallen = [...this.#high].filter(
      (ip) => (used.get(ip) ?? 0) < LOW * this.#ports,
    );
    for (const ip of risen) this.#high.add(ip);
    for (const ip of fallen) this.#high.delete(ip);
    const events = [
      ...risen.map((ip) => this.#event(now, ip, 1, HIGH)),
      ...fallen.map((ip) => this.#event(now, ip, 2, LOW)),
    ];
    if (events.length > 0) this.#write(events);
  }

  #event(now: number, ip: string, detail: number, share: number): NatEvent {
    return {
      time_ms: now,
      event: 'threshold',
      vnet: 0,
      proto: 0,
      private_ip: 0,
      private_port: 0,
      public_ip: parseIpv4(ip) ?? 0,
      public_port: 0,
      public_port_end: 0,
      remote_ip: 0,
      remote_port: 0,
      detail,
      limit: Math.ceil(share * this.#ports),
    };
  }
}
