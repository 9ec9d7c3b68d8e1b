// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One of the processes that share a store leads. Big theory.
 *
 * The lease is an object `{holder, term}` that changes only when another takes
 * over; beside it is a beat that the holder counts up. Its etag is the fencing
 * token: a batch of the leader carries the condition that the lease still has
 * it, so what a leader decided before it was paused, cut off or overtaken is
 * refused by the store, whatever the time and whatever it believes.
 *
 * No two clocks are compared. A follower takes over when it has seen no new
 * beat for `ttlMs` of its own time; the holder stops leading `ttlMs` after the
 * last beat that it began and the store took. Beats are seen after they began,
 * so the old leader stops first; the token covers what time cannot.
 *
 * A store that only one process can have open needs none of this: whoever has
 * it leads.
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import {
  type BatchRequest,
  isStoreError,
  type Store,
  StoreError,
} from './types.js';

const BUCKET = 'store_leases';
export const DEFAULT_TTL_MS = 1000;
/** Beats, or looks, in the time after which a leader is given up. */
const BEATS = 4;

export interface LeaseOptions {
  store: Store;
  /** What is led: leases of different names know nothing of each other. */
  name: string;
  /** This process: not used by any other, nor by its next life. */
  holder: string;
  clock: Clock;
  log?: Logger;
  ttlMs?: number;
}

export interface Lease {
  /** Whether this process leads, as far as it can know. */
  holds(): boolean;
  /**
   * Conditions for a batch that only the leader may write.
   * @throws StoreError LeaseLostError unless this process leads
   */
  fence(): BatchRequest[];
  /** Calls back when leading begins or ends; returns unsubscribe. */
  onChange(listener: (leads: boolean) => void): () => void;
  start(): Promise<void>;
  /** Gives the lease back, so that another need not wait. */
  stop(): Promise<void>;
}

/** A lease, not yet asked for. */
export function createLease(options: LeaseOptions): Lease {
  return options.store.shared ? new SharedLease(options) : soleLease();
}

/** Does `work` as the leader, when it is this process's turn. */
export async function whileLeading<T>(
  options: LeaseOptions,
  work: () => Promise<T>,
): Promise<T> {
  const lease = createLease(options);
  await lease.start();
  try {
    if (!lease.holds()) {
      await new Promise<void>((resolve) => {
        lease.onChange((leads) => leads && resolve());
      });
    }
    return await work();
  } finally {
    await lease.stop();
  }
}

function soleLease(): Lease {
  return {
    holds: () => true,
    fence: () => [],
    onChange: () => () => {},
    start: async () => {},
    stop: async () => {},
  };
}

/** The store for decisions of the leader: every batch is fenced. */
export function fenced(store: Store, lease: Lease): Store {
  return {
    ...store,
    async batch(requests, events) {
      try {
        return await store.batch([...lease.fence(), ...requests], events);
      } catch (error) {
        throw isAboutLease(error) ? lost() : error;
      }
    },
  };
}

function isAboutLease(error: unknown): boolean {
  return (
    isStoreError(error, 'EtagConflictError') &&
    error.context['bucket'] === BUCKET
  );
}

function lost(): StoreError {
  return new StoreError('LeaseLostError', 'another process leads');
}

interface Held {
  term: number;
  etag: string;
}

class SharedLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #ttl: number;
  readonly #listeners = new Set<(leads: boolean) => void>();
  #held: Held | null = null;
  /** Until when, of our own time, the last beat lets us lead. */
  #until = 0;
  #beats = 0;
  #told = false;
  /** The newest beat seen, and when. */
  #seen = '';
  #seenAt = 0;
  #timer: Timer | null = null;
  #busy: Promise<void> | null = null;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#ttl = options.ttlMs ?? DEFAULT_TTL_MS;
  }

  holds(): boolean {
    return this.#held !== null && this.#now() < this.#until;
  }

  fence(): BatchRequest[] {
    if (this.#held === null || !this.holds()) throw lost();
    return [this.#condition(this.#held)];
  }

  onChange(listener: (leads: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    const { store, clock } = this.#options;
    await store.putBucket(BUCKET, { index: {} });
    this.#seenAt = this.#now();
    this.#timer = clock.every(this.#ttl / BEATS, () => this.#tick());
    await this.#turn();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#busy;
    const held = this.#held;
    this.#held = null;
    this.#tell();
    if (held === null) return;
    const { store, name } = this.#options;
    const value = { holder: null, term: held.term };
    await store
      .putObject(BUCKET, name, value, { etag: held.etag })
      .catch((error: unknown) => {
        // Taken already, or out of reach: then the others wait.
        this.#options.log?.debug({ err: error }, 'the lease was not returned');
      });
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #condition({ etag }: Held): BatchRequest {
    const key = this.#options.name;
    return { operation: 'check', bucket: BUCKET, key, options: { etag } };
  }

  #tick(): void {
    this.#tell();
    if (this.#busy !== null) return;
    this.#busy = this.#turn()
      .catch((err: unknown) => {
        this.#options.log?.warn({ err }, 'the lease could not be looked at');
      })
      .finally(() => {
        this.#busy = null;
        this.#tell();
      });
  }

  async #turn(): Promise<void> {
    if (this.#held !== null) await this.#beat(this.#held);
    else await this.#look();
    this.#tell();
  }

  async #beat(held: Held): Promise<void> {
    const { store, name } = this.#options;
    const began = this.#now();
    this.#beats += 1;
    const beat = { term: held.term, count: this.#beats };
    try {
      await store.batch([
        this.#condition(held),
        { bucket: BUCKET, key: `${name}.beat`, value: beat },
      ]);
      this.#until = began + this.#ttl;
    } catch (error) {
      if (!isAboutLease(error)) throw error;
      this.#held = null;
      this.#seen = '';
      this.#seenAt = this.#now();
    }
  }

  async #look(): Promise<void> {
    const { name } = this.#options;
    const lease = await this.#read(name);
    const beat = await this.#read(`${name}.beat`);
    const sign = `${lease?.etag} ${beat?.etag}`;
    if (sign !== this.#seen) {
      this.#seen = sign;
      this.#seenAt = this.#now();
    }
    const free = lease === null || lease.value['holder'] === null;
    const silent = this.#now() - this.#seenAt >= this.#ttl;
    if (!free && !silent) return;
    await this.#take(Number(lease?.value['term'] ?? 0) + 1, lease?.etag);
  }

  /** Begins a term, unless another was faster. */
  async #take(term: number, before: string | undefined): Promise<void> {
    const { store, name, holder, log } = this.#options;
    const began = this.#now();
    try {
      const { etags } = await store.batch([
        {
          bucket: BUCKET,
          key: name,
          value: { holder, term },
          options: { etag: before ?? null },
        },
        { bucket: BUCKET, key: `${name}.beat`, value: { term, count: 0 } },
      ]);
      this.#held = { term, etag: etags[0]?.etag as string };
      this.#beats = 0;
      this.#until = began + this.#ttl;
      log?.info({ lease: name, term }, 'leading');
    } catch (error) {
      if (!isAboutLease(error)) throw error;
    }
  }

  async #read(
    key: string,
  ): Promise<{ value: Record<string, unknown>; etag: string } | null> {
    try {
      const found = await this.#options.store.getObject(BUCKET, key);
      return { value: found.value, etag: found._etag };
    } catch (error) {
      if (isStoreError(error, 'ObjectNotFoundError')) return null;
      throw error;
    }
  }

  #tell(): void {
    const leads = this.holds();
    if (leads === this.#told) return;
    this.#told = leads;
    for (const listener of this.#listeners) listener(leads);
  }
}
