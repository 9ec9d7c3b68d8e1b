// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Our own listener: connects, registers, bootstraps when it must, and hands
 * over every change once and in order. See index.ts for the whole picture.
 */

import { WebSocket } from 'ws';
import type { Clock, Timer } from '#lib/clock.js';
import type { TlsSource } from '#lib/http/tls.js';
import type { Logger } from '#lib/service/log.js';
import { type Backoff, type BackoffOptions, createBackoff } from './backoff.js';
import {
  encodeRegistration,
  type Item,
  type Message,
  parseMessage,
  type Wanted,
} from './frames.js';

export interface SubscriberOptions {
  /** Base URL of the publisher, such as `http://127.0.0.1:8080`. */
  url: string;
  /** For an https URL: who is trusted, and who this is. */
  tls?: TlsSource | undefined;
  /** Unique among the publisher's listeners. */
  instance: string;
  service: string;
  resources: Wanted[];
  /** Position of the state that is already here. */
  resumeFrom?: number;
  backoff?: BackoffOptions;
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  log: Logger;
  /**
   * Fetches the present state over HTTP and takes it over.
   * @param registered position from which items follow, for those whose state
   *   does not say its own: what they fetch now is at least as new
   * @returns the journal position of that state
   */
  onBootstrap: (registered: number) => Promise<number>;
  /** Takes one change; the next waits until it is done. */
  onItem: (item: Item) => Promise<void> | void;
  /** Something was missed; a bootstrap follows. */
  onGap?: (reason: string) => void;
  /** Everything up to here has been handed over. */
  onPosition?: (position: number) => void;
  /** Limit for upgrade and answer. Default 5 s. */
  handshakeMs?: number;
  /** Silence after which the line counts as lost. Default 4 s. */
  idleMs?: number;
  /** Between pings. Default 1 s. */
  pingMs?: number;
}

export interface SubscriberStatus {
  connected: boolean;
  /** Position up to which everything was handed over; null before. */
  position: number | null;
  connections: number;
  bootstraps: number;
  gaps: number;
  items: number;
}

export interface Subscriber {
  start(): void;
  /** Resolves when no callback is running any more. */
  stop(): Promise<void>;
  status(): SubscriberStatus;
}

const MAX_FRAME = 16 * 1024 * 1024;
/** Frames that may wait for `onItem` before the socket is paused. */
const HIGH_WATER = 1000;

/** @returns a subscriber that has not started */
export function createSubscriber(options: SubscriberOptions): Subscriber {
  return new ResumingSubscriber(options);
}

/** One connection; what belongs to an older one is ignored. */
interface Line {
  socket: WebSocket;
  queue: Message[];
  draining: boolean;
  paused: boolean;
  answered: boolean;
  /** Whether anything has come by it, be it still in the queue. */
  spoken: boolean;
  /** The publisher has not our extension. */
  plain: boolean;
  /** The position it asked to resume from. */
  resume: number | null;
  /** What the next item's `prev` has to be. */
  expected: number;
  heard: number;
  timers: Timer[];
}

class ResumingSubscriber implements Subscriber {
  readonly #options: SubscriberOptions;
  readonly #backoff: Backoff;
  readonly #status: SubscriberStatus;
  #line: Line | null = null;
  #retry: Timer | null = null;
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#backoff = createBackoff(
      options.backoff ?? { minMs: 50, maxMs: 5000 },
      options.random,
    );
    this.#status = {
      connected: false,
      position: options.resumeFrom ?? null,
      connections: 0,
      bootstraps: 0,
      gaps: 0,
      items: 0,
    };
  }

  start(): void {
    this.#connect();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    if (this.#line !== null) this.#leave(this.#line, 'stopped');
    await this.#work;
  }

  status(): SubscriberStatus {
    return { ...this.#status };
  }

  #connect(): void {
    if (this.#stopped) return;
    const { url, clock, handshakeMs = 5000 } = this.#options;
    const target = new URL(url);
    target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
    target.pathname = `${target.pathname.replace(/\/$/, '')}/changefeeds`;
    const socket = new WebSocket(target, {
      ...this.#options.tls?.current(),
      headers: { 'accept-version': '~2' },
      perMessageDeflate: false,
      maxPayload: MAX_FRAME,
    });
    const line: Line = {
      socket,
      queue: [],
      draining: false,
      paused: false,
      answered: false,
      spoken: false,
      plain: false,
      resume: null,
      expected: 0,
      heard: clock.monotonic(),
      timers: [],
    };
    this.#line = line;
    // One limit for upgrade and answer: a publisher may do the one and not
    // the other (facts: triton-napi 10.5).
    line.timers.push(
      clock.after(handshakeMs, () => {
        if (!line.spoken) this.#leave(line, 'no answer to the registration');
      }),
    );
    socket.on('open', () => this.#register(line));
    socket.on('message', (data: Buffer) => this.#receive(line, data));
    socket.on('pong', () => {
      line.heard = clock.monotonic();
    });
    socket.on('error', (error) => this.#leave(line, error.message));
    socket.on('close', (code, reason) =>
      this.#leave(line, `closed: ${code} ${reason.toString('utf8')}`),
    );
  }

  #register(line: Line): void {
    const { instance, service, resources } = this.#options;
    line.resume = this.#status.position;
    line.socket.send(
      encodeRegistration({
        instance,
        service,
        resources,
        extension: { resume: line.resume },
      }),
    );
  }

  #receive(line: Line, data: Buffer): void {
    if (line !== this.#line) return;
    line.heard = this.#options.clock.monotonic();
    line.spoken = true;
    line.queue.push(parseMessage(data.toString('utf8')));
    if (line.queue.length >= HIGH_WATER && !line.paused) {
      line.paused = true;
      line.socket.pause();
    }
    if (line.draining) return;
    line.draining = true;
    // After what an older connection may still be handing over.
    this.#work = this.#work
      .then(() => this.#drain(line))
      .catch((error: unknown) => {
        // What failed half way may have been taken half way.
        this.#options.log.error({ err: error }, 'change could not be taken');
        this.#status.position = null;
        if (this.#line !== null) {
          this.#leave(this.#line, (error as Error).message);
        }
      });
  }

  async #drain(line: Line): Promise<void> {
    for (;;) {
      const message = line.queue.shift();
      if (message === undefined || line !== this.#line) break;
      await this.#handle(line, message);
      if (line.paused && line.queue.length < HIGH_WATER / 2) {
        line.paused = false;
        line.heard = this.#options.clock.monotonic();
        line.socket.resume();
      }
    }
    line.draining = false;
  }

  async #handle(line: Line, message: Message): Promise<void> {
    if (message.type === 'unknown') {
      this.#leave(line, `unexpected message: ${message.why}`);
    } else if (message.type === 'answer') {
      if (line.answered) this.#leave(line, 'a second answer');
      else await this.#answered(line, message);
    } else if (!line.answered) {
      this.#leave(line, 'no answer before the first item');
    } else if (message.type === 'heartbeat') {
      this.#moveTo(message.position);
    } else if (message.type === 'change') {
      await this.#changed(line);
    } else {
      await this.#item(line, message.item);
    }
  }

  async #answered(
    line: Line,
    answer: { position: number | null; resumed: boolean },
  ): Promise<void> {
    line.answered = true;
    this.#watch(line);
    if (answer.position === null) {
      line.plain = true;
      await this.#bootstrap(0);
    } else if (answer.resumed && line.resume !== null) {
      line.expected = line.resume;
    } else {
      if (line.resume !== null) this.#gap('the journal no longer has it all');
      line.expected = answer.position;
      // An older connection may have broken off while its state came: that
      // state is as good, and what follows it is asked for.
      const fetched = line.resume === null ? this.#status.position : null;
      const state = fetched ?? (await this.#bootstrap(answer.position));
      this.#status.position = state;
      this.#options.onPosition?.(state);
      if (line !== this.#line) return;
      if (state < answer.position) {
        // Older than where the items begin: resume from there instead.
        this.#leave(line, 'the state fetched is older than the registration');
        return;
      }
    }
    this.#status.connected = true;
    this.#status.connections += 1;
    this.#backoff.reset();
    this.#options.log.info({ ...this.#status }, 'following the changefeed');
  }

  #bootstrap(registered: number): Promise<number> {
    this.#status.bootstraps += 1;
    return this.#options.onBootstrap(registered);
  }

  /**
   * A change without its object, at a publisher without positions: the state
   * is fetched again, once for all changes that wait.
   */
  async #changed(line: Line): Promise<void> {
    if (!line.plain) {
      this.#leave(line, 'an item without position');
      return;
    }
    this.#status.items += 1;
    if (line.queue.some(({ type }) => type === 'change')) return;
    await this.#bootstrap(0);
  }

  async #item(line: Line, item: Item): Promise<void> {
    if (item.prev !== line.expected) {
      this.#gap(`expected ${line.expected} before ${item.seq}: ${item.prev}`);
      this.#status.position = null;
      this.#leave(line, 'gap');
      return;
    }
    line.expected = item.seq;
    // The state fetched may have it already.
    if (item.seq <= (this.#status.position ?? 0)) return;
    await this.#options.onItem(item);
    this.#status.items += 1;
    this.#moveTo(item.seq);
  }

  #moveTo(position: number): void {
    if (position <= (this.#status.position ?? 0)) return;
    this.#status.position = position;
    this.#options.onPosition?.(position);
  }

  #gap(reason: string): void {
    this.#status.gaps += 1;
    this.#options.log.warn({ reason }, 'changefeed gap');
    this.#options.onGap?.(reason);
  }

  /** Pings, and gives a line up that has been silent for too long. */
  #watch(line: Line): void {
    const { clock, pingMs = 1000, idleMs = 4000 } = this.#options;
    line.timers.push(
      clock.every(pingMs, () => {
        if (line.paused) return;
        if (clock.monotonic() - line.heard > idleMs) {
          this.#leave(line, 'silent for too long');
        } else if (line.socket.readyState === WebSocket.OPEN) {
          line.socket.ping();
        }
      }),
    );
  }

  /** Ends this connection and, unless stopped, plans the next. */
  #leave(line: Line, why: string): void {
    if (line !== this.#line) return;
    this.#line = null;
    this.#status.connected = false;
    for (const timer of line.timers) timer.cancel();
    line.queue.length = 0;
    line.socket.terminate();
    if (this.#stopped) return;
    const delay = this.#backoff.next();
    this.#options.log.info({ why, delay }, 'changefeed connection ended');
    this.#retry = this.#options.clock.after(delay, () => this.#connect());
  }
}
