// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Requests by id over whichever connection there is: the part of the SVP
 * client that waits, resends, times out and reconnects (its Big Theory is in
 * client.ts). It knows nothing of what the messages mean.
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { type Connection, openConnection } from './connection.js';
import type { SvpMessage } from './messages.js';

export interface SvpClientOptions {
  host: string;
  port: number;
  clock: Clock;
  log: Logger;
  timeouts?: {
    /** A request's whole life, waiting for a connection included. */
    query_ms?: number;
    /** Waits before each attempt after a break; the last one repeats. */
    reconnect_ms?: readonly number[];
  };
  /** Requests waiting or unanswered at most; more are refused. */
  maxPending?: number;
}

/** Nobody answered, or the server could not: nothing is known. */
export class SvpUnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SvpUnavailableError';
  }
}

/** First retry fast, then varpd's table (1.6). */
export const RECONNECT_MS = [50, 1000, 2000, 4000, 8000, 16_000, 32_000];
const QUERY_MS = 30_000;
const MAX_PENDING = 4096;
/** Ids are positive 32-bit signed numbers (1.1). */
const MAX_ID = 0x7fffffff;

interface Waiting {
  message: SvpMessage;
  timer: Timer;
  resolve(answer: SvpMessage): void;
  reject(error: Error): void;
}

export interface Channel {
  request(message: SvpMessage): Promise<SvpMessage>;
  connected(): boolean;
  close(): void;
}

/** Counts 1 .. 2^31-1 around, leaving out ids that are in use. */
function idSource(used: (id: number) => boolean): () => number {
  let last = 0;
  return () => {
    do {
      last = last >= MAX_ID ? 1 : last + 1;
    } while (used(last));
    return last;
  };
}

/**
 * Makes a channel; it starts connecting at once and never gives up.
 * @param options server, clock, log and limits
 */
export function createChannel(options: SvpClientOptions): Channel {
  const { clock, log } = options;
  const reconnect = options.timeouts?.reconnect_ms ?? RECONNECT_MS;
  const queryMs = options.timeouts?.query_ms ?? QUERY_MS;
  const waiting = new Map<number, Waiting>();
  let connection: Connection | null = null;
  let open = false;
  let closed = false;
  let failures = 0;
  let whyNot = '';
  const nextId = idSource((id) => waiting.has(id));
  let retry: Timer | null = null;

  function start(): void {
    retry = null;
    connection = openConnection(options, {
      onOpen() {
        open = true;
        whyNot = '';
        log.debug({ waiting: waiting.size }, 'svp: connected');
        for (const [id, one] of waiting) connection?.send(id, one.message);
      },
      onAnswer,
      onEnd,
    });
  }

  function onAnswer(id: number, answer: SvpMessage): void {
    const one = waiting.get(id);
    if (one === undefined) return;
    failures = 0;
    waiting.delete(id);
    one.timer.cancel();
    one.resolve(answer);
  }

  function onEnd(reason: string): void {
    connection = null;
    open = false;
    if (closed) return;
    const wait = reconnect[Math.min(failures, reconnect.length - 1)] ?? 1000;
    failures++;
    whyNot = `: ${reason}`;
    log.info({ reason, wait_ms: wait }, 'svp: no connection');
    retry = clock.after(wait, start);
  }

  function refuse(id: number, message: string): void {
    const one = waiting.get(id);
    if (one === undefined) return;
    waiting.delete(id);
    one.timer.cancel();
    one.reject(new SvpUnavailableError(message));
  }

  function onTimeout(id: number): void {
    const wasSent = open;
    refuse(id, `no SVP answer in ${queryMs} ms${whyNot}`);
    if (wasSent) connection?.destroy('an answer is overdue');
  }

  start();
  return {
    request(message) {
      if (closed || waiting.size >= (options.maxPending ?? MAX_PENDING)) {
        const why = closed ? 'the client is closed' : 'too many requests wait';
        return Promise.reject(new SvpUnavailableError(why));
      }
      const id = nextId();
      return new Promise((resolve, reject) => {
        const timer = clock.after(queryMs, () => onTimeout(id));
        waiting.set(id, { message, timer, resolve, reject });
        if (open) connection?.send(id, message);
      });
    },
    connected: () => open,
    close() {
      closed = true;
      retry?.cancel();
      for (const id of [...waiting.keys()]) refuse(id, 'the client is closed');
      connection?.destroy('closed');
    },
  };
}
