// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One listener's side of the publisher: what it asked for, how far it has been
 * told, and how much is still on its way to it.
 *
 * It is live, fed by `offer` at each commit, or catching up, reading the
 * journal page by page. While catching up a slow reader is waited for; while
 * live it cannot be, so there its queue is bounded.
 */

import type { WebSocket } from 'ws';
import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import type { Journal, JournalEntry } from '#lib/store/types.js';
import {
  closeReason,
  encodeExtendedItem,
  encodeHeartbeat,
  encodeItem,
  matches,
  type Registration,
} from './frames.js';

/** An entry whose frames are made at most once for all listeners. */
export class Published {
  readonly entry: JournalEntry;
  #plain: string | undefined;
  #extended: ((prev: number) => string) | undefined;

  constructor(entry: JournalEntry) {
    this.entry = entry;
  }

  plain(): string {
    this.#plain ??= encodeItem(this.entry);
    return this.#plain;
  }

  extended(prev: number): string {
    this.#extended ??= encodeExtendedItem(this.entry);
    return this.#extended(prev);
  }
}

export interface ListenerOptions {
  socket: WebSocket;
  registration: Registration;
  journal: Journal;
  /** Entries up to here are not for it. */
  from: number;
  maxQueuedBytes: number;
  maxQueuedItems: number;
  clock: Clock;
  log: Logger;
}

const PAGE = 500;
/** How long a closed peer may take to read its CLOSE frame. */
const CLOSE_GRACE_MS = 2000;

export class Listener {
  readonly registration: Registration;
  readonly #options: ListenerOptions;
  readonly #wanted: Registration['resources'];
  /** The last journal position that was looked at. */
  #cursor: number;
  /** The last position that was sent, or where it began. */
  #sent: number;
  #live = false;
  #queued = 0;
  #closing = false;
  #drained: (() => void) | undefined;
  #items = 0;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.registration = options.registration;
    this.#wanted = [...options.registration.resources];
    this.#cursor = options.from;
    this.#sent = options.from;
  }

  /** What `GET /changefeeds/stats` says of it. */
  stats(): Record<string, unknown> {
    return {
      service: this.registration.service,
      position: this.#cursor,
      items: this.#items,
      queued_items: this.#queued,
      queued_bytes: this.#options.socket.bufferedAmount,
      live: this.#live,
    };
  }

  /**
   * Another registration of the same instance took this resource over.
   * @returns whether anything is left
   */
  drop(resource: string): boolean {
    const at = this.#wanted.findIndex((want) => want.resource === resource);
    if (at >= 0) this.#wanted.splice(at, 1);
    return this.#wanted.length > 0;
  }

  /** New entries, in order. */
  offer(entries: Published[]): void {
    if (!this.#live || this.#closing) return;
    for (const published of entries) {
      const { seq } = published.entry;
      if (seq <= this.#cursor) continue;
      if (seq !== this.#cursor + 1) {
        this.catchUp();
        return;
      }
      this.#take(published);
      if (this.#tooSlow()) return;
    }
  }

  heartbeat(): void {
    if (this.registration.extension === undefined || this.#closing) return;
    this.#send(encodeHeartbeat(this.#cursor));
    this.#tooSlow();
  }

  /** Reads the journal from where it is, then goes live. */
  catchUp(): void {
    this.#live = false;
    this.#follow().catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'listener cannot catch up');
      this.close(1011, `gap: ${(error as Error).message}`);
    });
  }

  /** Ends it with a reason; what it does not read in time is dropped. */
  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    const { socket, clock } = this.#options;
    socket.close(code, closeReason(reason));
    const force = clock.after(CLOSE_GRACE_MS, () => socket.terminate());
    socket.once('close', () => {
      force.cancel();
      this.#drained?.();
    });
  }

  /** The socket is gone. */
  closed(): void {
    this.#closing = true;
    this.#drained?.();
  }

  async #follow(): Promise<void> {
    const { journal } = this.#options;
    while (!this.#closing) {
      const page = await journal.read(this.#cursor, PAGE);
      for (const entry of page) {
        this.#take(new Published(entry));
        await this.#room();
        if (this.#closing) return;
      }
      // No await between this test and going live: nothing can be committed
      // in between without being offered.
      if (page.length === 0 && this.#cursor >= journal.position()) {
        this.#live = true;
        return;
      }
      if (page.length === 0) {
        throw new Error(`journal ends at ${this.#cursor}`);
      }
    }
  }

  #take(published: Published): void {
    const { entry } = published;
    this.#cursor = entry.seq;
    if (!matches(this.#wanted, entry)) return;
    if (this.registration.extension === undefined) {
      this.#send(published.plain());
    } else {
      this.#send(published.extended(this.#sent));
      this.#sent = entry.seq;
    }
    this.#items += 1;
  }

  #send(text: string): void {
    this.#queued += 1;
    this.#options.socket.send(text, () => {
      this.#queued -= 1;
      if (!this.#full(0.5)) this.#drained?.();
    });
  }

  /** Resolves when the queue is no longer full. */
  async #room(): Promise<void> {
    while (this.#full(1) && !this.#closing) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      this.#drained = undefined;
    }
  }

  #full(share: number): boolean {
    const { socket, maxQueuedBytes, maxQueuedItems } = this.#options;
    return (
      socket.bufferedAmount > maxQueuedBytes * share ||
      this.#queued > maxQueuedItems * share
    );
  }

  #tooSlow(): boolean {
    if (this.#closing) return true;
    if (!this.#live || !this.#full(1)) return false;
    const { bufferedAmount } = this.#options.socket;
    const reason =
      `too slow: ${this.#queued} items, ` + `${bufferedAmount} bytes waiting`;
    this.#options.log.warn({ instance: this.registration.instance }, reason);
    this.close(1008, reason);
    return true;
  }
}
