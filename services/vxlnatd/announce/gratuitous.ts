// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Gratuitous ARP, three times: at once, and twice more in case the first was
 * lost (RFC 5227 section 2.3 sends two, two seconds apart; a take-over wants
 * the second sooner). A failure is logged and the repeats still come.
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';

/** Delays of the repeats, in milliseconds after the first. */
const REPEATS = [200, 1000];

export interface Gratuitous {
  /** Announces now and repeats; a running series of this IP starts again. */
  start(device: string, ip: string): void;
  /** Ends a series: the address is no longer ours. */
  stop(ip: string): void;
  close(): void;
}

/**
 * @param announceArp sends one request; throws when it cannot
 */
export function createGratuitous(
  announceArp: (device: string, ip: string) => void,
  clock: Clock,
  log: Logger,
): Gratuitous {
  const running = new Map<string, Timer[]>();
  function send(device: string, ip: string): void {
    try {
      announceArp(device, ip);
    } catch (err) {
      log.warn({ err, device, ip }, 'cannot send gratuitous ARP');
    }
  }
  function stop(ip: string): void {
    for (const timer of running.get(ip) ?? []) timer.cancel();
    running.delete(ip);
  }
  return {
    start(device, ip) {
      stop(ip);
      send(device, ip);
      running.set(
        ip,
        REPEATS.map((delay, i) =>
          clock.after(delay, () => {
            send(device, ip);
            if (i === REPEATS.length - 1) running.delete(ip);
          }),
        ),
      );
    },
    stop,
    close() {
      for (const ip of [...running.keys()]) stop(ip);
    },
  };
}
