// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Where inner addresses live: SVP's answers, kept in the engine.
 *
 * Purpose. An inbound packet for an inner address that the engine cannot place
 * is held, and the engine reports a miss (RFD 158: vxlnatd shall "query SVP on
 * behalf of 1-1 mappings for inbound traffic"). The resolver asks SVP and puts
 * the answer into the engine; from then on the engine forwards by itself.
 *
 * What makes an answer old, and what is done:
 *   SVP log, VL2 record      the engine forgets every remote with that MAC, and
 *                            those that were known are asked for again
 *   SVP log, VL3 record      asked for again, kept until the answer is there
 *   `ul3_mapping` event      the event is the answer: set or removed at once
 *   changes were missed      everything known is asked for again
 *
 * Invariants. One question at a time for each address; an answer to a question
 * asked before an event is thrown away, because the event is newer. The queue
 * and the table of what is known are bounded: a flood of misses costs the
 * newest misses, which the engine reports again.
 *
 * Failure. Without an answer (no server, timeout) the engine is told "not
 * found, ask again soon" and keeps what it knows.
 */

import type { Logger } from '#lib/service/log.js';
import type { Remote } from '../desired.js';
import type { Engine, Operation } from '../engine.js';
import { remoteOperation } from '../operation.js';
import { entryKey } from '../world.js';

/** SVP's VL3 look-up in the model's words; null is "not found". */
export type LookUp = (vnet: number, ip: string) => Promise<Remote | null>;

export interface ResolverOptions {
  engine: Pick<Engine, 'apply'>;
  /** Null: nobody to ask, every miss is "not found". */
  lookUp: LookUp | null;
  log: Logger;
  limits?: Partial<ResolverLimits>;
  /** Told when `remotes()` has changed. */
  onKnown?: () => void;
}

/** Bounds and times (milliseconds). */
export interface ResolverLimits {
  /** Questions under way at once. */
  parallel: number;
  /** Questions that wait. */
  queue: number;
  /** Remotes remembered. */
  known: number;
  /** The engine asks again this long after "not found". */
  notFoundRetryMs: number;
  /** The same after no answer at all. */
  failedRetryMs: number;
}

const LIMITS: ResolverLimits = {
  parallel: 64,
  queue: 65_536,
  known: 262_144,
  notFoundRetryMs: 1000,
  failedRetryMs: 250,
};

/** Totals since start, and gauges. */
export interface ResolverStats {
  known: number;
  waiting: number;
  asked: number;
  found: number;
  not_found: number;
  failed: number;
  overflowed: number;
  shootdowns: number;
  events: number;
}

interface Question {
  vnet: number;
  ip: string;
  /** Whether it is on the way to the server. */
  sent: boolean;
  /** Something newer came: ask again instead of believing the answer. */
  stale: boolean;
}

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #limits: ResolverLimits;
  readonly #questions = new Map<string, Question>();
  readonly #waiting: Question[] = [];
  readonly #known = new Map<string, Remote>();
  readonly #stats = {
    asked: 0,
    found: 0,
    not_found: 0,
    failed: 0,
    overflowed: 0,
    shootdowns: 0,
    events: 0,
  };
  #sent = 0;
  #operations: Operation[] = [];
  #closed = false;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  /** The engine cannot place an address, or will soon have to. */
  want(vnet: number, ip: string): void {
    const key = entryKey(vnet, ip);
    if (this.#closed || this.#questions.has(key)) return;
    if (this.#questions.size >= this.#limits.queue) {
      this.#stats.overflowed += 1;
      return;
    }
    const question = { vnet, ip, sent: false, stale: false };
    this.#questions.set(key, question);
    this.#waiting.push(question);
    this.#pump();
  }

  /** Asks ahead for an address whose packets are expected. */
  prefetch(vnet: number, ip: string): void {
    // With nobody to ask, "not found" would hide a remote that a file gave.
    if (this.#options.lookUp === null) return;
    if (!this.#known.has(entryKey(vnet, ip))) this.want(vnet, ip);
  }

  /**
   * Remotes known before a restart: the engine forwards by them at once, and
   * they are asked for again as soon as the control plane answers.
   */
  restore(remotes: Iterable<Remote>): void {
    for (const remote of remotes) this.#keep(remote.vnet_id, remote.ip, remote);
  }

  /** Everything known now. */
  remotes(): Remote[] {
    return [...this.#known.values()];
  }

  /** Asks again although something is known. */
  refresh(vnet: number, ip: string): void {
    const question = this.#questions.get(entryKey(vnet, ip));
    if (question?.sent === true) question.stale = true;
    else this.want(vnet, ip);
  }

  /** SVP log, VL2 record: the MAC has moved. Resolves when it is forgotten. */
  async shootdownMac(vnet: number, mac: string): Promise<void> {
    this.#stats.shootdowns += 1;
    const moved: Remote[] = [];
    for (const remote of this.#known.values()) {
      if (remote.vnet_id === vnet && remote.mac === mac) moved.push(remote);
    }
    // A question under way may be answered with what is being forgotten.
    for (const question of this.#questions.values()) {
      if (question.vnet === vnet && question.sent) question.stale = true;
    }
    for (const { ip } of moved) this.#known.delete(entryKey(vnet, ip));
    this.#options.onKnown?.();
    await this.#options.engine.apply([{ op: 'remove_remote_mac', vnet, mac }]);
    for (const { ip } of moved) this.refresh(vnet, ip);
  }

  /**
   * SVP log, VL3 record: the address has moved. Resolves when the answer is in
   * the engine; rejects when there was none, so the record stays in the log.
   */
  async shootdownIp(vnet: number, ip: string): Promise<void> {
    this.#stats.shootdowns += 1;
    const key = entryKey(vnet, ip);
    if (!this.#known.has(key) && !this.#questions.has(key)) return;
    const { lookUp } = this.#options;
    if (lookUp === null) return;
    const question = this.#questions.get(key);
    if (question?.sent === true) question.stale = true;
    this.#keep(vnet, ip, await lookUp(vnet, ip));
  }

  /** A `ul3_mapping` event: newer than anything SVP has said so far. */
  event(vnet: number, ip: string, remote: Remote | null): void {
    const key = entryKey(vnet, ip);
    const question = this.#questions.get(key);
    if (question?.sent === true) question.stale = true;
    if (!this.#known.has(key) && question === undefined) return;
    this.#stats.events += 1;
    this.#keep(vnet, ip, remote);
  }

  /** Changes may have been missed: everything known is asked for again. */
  refreshAll(): void {
    for (const { vnet_id, ip } of [...this.#known.values()]) {
      this.refresh(vnet_id, ip);
    }
  }

  stats(): ResolverStats {
    return {
      known: this.#known.size,
      waiting: this.#questions.size,
      ...this.#stats,
    };
  }

  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
  }

  #pump(): void {
    while (this.#sent < this.#limits.parallel) {
      const question = this.#waiting.shift();
      if (question === undefined) return;
      question.sent = true;
      this.#sent += 1;
      void this.#ask(question).finally(() => {
        this.#sent -= 1;
        this.#pump();
      });
    }
  }

  async #ask(question: Question): Promise<void> {
    const { vnet, ip } = question;
    const { lookUp, log } = this.#options;
    let remote: Remote | null = null;
    let retryMs = this.#limits.notFoundRetryMs;
    let failed = false;
    this.#stats.asked += 1;
    try {
      remote = lookUp === null ? null : await lookUp(vnet, ip);
    } catch (err) {
      failed = true;
      retryMs = this.#limits.failedRetryMs;
      this.#stats.failed += 1;
      log.debug({ err, vnet, ip }, 'SVP gave no answer');
    }
    this.#questions.delete(entryKey(vnet, ip));
    if (this.#closed) return;
    if (question.stale) {
      this.want(vnet, ip);
    } else if (remote !== null) {
      this.#stats.found += 1;
      this.#keep(vnet, ip, remote);
    } else {
      if (!failed) {
        this.#stats.not_found += 1;
        this.#keep(vnet, ip, null);
      }
      // Silence is no answer: what is known stays until SVP says otherwise.
      const known = failed ? this.#known.get(entryKey(vnet, ip)) : undefined;
      this.#post(
        known === undefined
          ? { op: 'remote_not_found', vnet, ip, retry_ms: retryMs }
          : remoteOperation(known),
      );
    }
  }

  /** Remembers an answer and gives it to the engine. */
  #keep(vnet: number, ip: string, remote: Remote | null): void {
    const key = entryKey(vnet, ip);
    const had = this.#known.delete(key);
    if (had || remote !== null) this.#options.onKnown?.();
    if (remote === null) {
      if (had) this.#post({ op: 'remove_remote', vnet, ip });
      return;
    }
    if (this.#known.size >= this.#limits.known) {
      // The oldest answer goes from here only; a miss brings it back.
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    this.#known.set(key, remote);
    this.#post(remoteOperation(remote));
  }

  /** Operations of one tick go to the engine in one call. */
  #post(operation: Operation): void {
    this.#operations.push(operation);
    if (this.#operations.length === 1) queueMicrotask(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const { engine, log } = this.#options;
    const operations = this.#operations;
    this.#operations = [];
    if (this.#closed) return;
    try {
      const results = await engine.apply(operations);
      results.forEach((result, i) => {
        if (result.error === null) return;
        log.warn({ operation: operations[i], reason: result.error }, 'remote');
      });
    } catch (err) {
      log.warn({ err, operations: operations.length }, 'cannot set remotes');
    }
  }
}
