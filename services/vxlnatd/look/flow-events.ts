// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The engine's log of flows as NAT events (RFC 8158). The engine keeps a
 * bounded number of records; this reads them now and then and hands them on.
 */

import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import type { Engine, FlowEventsDto } from '../engine.js';
import type { NatEvent, NatEventName } from '../nat-log/event.js';

/** FlowEventKind of engine/events.h, in its order. */
const KINDS: readonly (NatEventName | null)[] = [
  null,
  'session_create',
  'session_delete',
  'block_alloc',
  'block_free',
  'ports_exhausted',
  'quota_exceeded',
  'threshold',
];
const SIZE = 64;
/** Events kept between two reads: a second of 256,000 flows. */
export const EVENTS_ROOM = 1 << 19;
const READ_EVERY_MS = 100;
const READ_MOST = 1 << 16;

/**
 * Reads records of the engine.
 * @param clockOffset what makes the engine's milliseconds those since 1970
 * @param reasons names of the drop reasons, in their order
 */
export function natEvents(
  data: ArrayBuffer,
  clockOffset: number,
  reasons: readonly string[],
): NatEvent[] {
  const view = new DataView(data);
  const events: NatEvent[] = [];
  for (let at = 0; at + SIZE <= data.byteLength; at += SIZE) {
    const u32 = (offset: number) => view.getUint32(at + offset, true);
    const u16 = (offset: number) => view.getUint16(at + offset, true);
    const event = KINDS[view.getUint8(at + 48)] ?? null;
    if (event === null) continue;
    const reason = reasons[view.getUint8(at + 50)];
    events.push({
      time_ms: Number(view.getBigUint64(at, true)) + clockOffset,
      event,
      vnet: u32(24),
      proto: view.getUint8(at + 49),
      private_ip: u32(28),
      private_port: u16(40),
      public_ip: u32(32),
      public_port: u16(42),
      public_port_end: u16(44),
      remote_ip: u32(36),
      remote_port: u16(46),
      detail: view.getUint8(at + 51),
      limit: u32(52),
      ...(reason !== undefined && { reason }),
    });
  }
  return events;
}

/** Hands events on until it is stopped. */
export class FlowEventReader {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #write: (events: readonly NatEvent[]) => void;
  #timer: { cancel(): void } | null = null;
  #reading: Promise<void> = Promise.resolve();
  #lost = 0;

  constructor(
    engine: Engine,
    clock: Clock,
    log: Logger,
    write: (events: readonly NatEvent[]) => void,
  ) {
    this.#engine = engine;
    this.#clock = clock;
    this.#log = log;
    this.#write = write;
  }

  /** Events that the engine had no room for. */
  get lost(): number {
    return this.#lost;
  }

  /** Switches the engine's log on. */
  async start(): Promise<void> {
    await this.#engine.openEvents(EVENTS_ROOM);
    let busy = false;
    this.#timer = this.#clock.every(READ_EVERY_MS, () => {
      if (busy) return;
      busy = true;
      this.#reading = this.read()
        .catch((err) => this.#log.error({ err }, 'log of flows'))
        .finally(() => {
          busy = false;
        });
    });
  }

  /** Hands on everything that waits. */
  async read(): Promise<void> {
    const reasons = this.#engine.drops().map((drop) => drop.name);
    for (;;) {
      const read: FlowEventsDto = await this.#engine.readEvents(READ_MOST);
      const offset = this.#clock.now() - read.now_ms;
      const events = natEvents(read.data, offset, reasons);
      if (read.lost > this.#lost) {
        const events_lost = read.lost - this.#lost;
        this.#log.warn({ events_lost }, 'log of flows: the oldest are lost');
        this.#lost = read.lost;
      }
      if (events.length > 0) this.#write(events);
      if (events.length < READ_MOST) return;
    }
  }

  /** Hands on the rest and switches the log off. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#reading;
    await this.read();
    await this.#engine.openEvents(0);
  }
}
