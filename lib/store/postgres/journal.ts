// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The journal as several processes read it. Every process follows positions:
 * what it commits itself it delivers itself, what others commit it reads when
 * PostgreSQL notifies it, and by a poll when a notice was lost. Whatever wakes
 * it, it delivers what comes after the last it delivered, so each listener
 * hears of each entry once and in order.
 */

import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { META } from '../keys.js';
import { type Journal, type JournalEntry, StoreError } from '../types.js';
import { CATALOG, type Catalog } from './catalog.js';
import { type Link, type OwnLink, openLink, quoted } from './connection.js';
import type { Writer } from './writer.js';

const PAGE = 500;
const POLL_MS = 1000;
const RECONNECT_MS = 250;

export interface JournalOptions {
  url: string;
  schema: string;
  readers: Link;
  catalog: Catalog;
  clock: Clock;
  log: Logger | undefined;
}

export interface OpenJournal {
  readonly journal: Journal;
  tell(text: string): void;
  onTold(listener: (text: string) => void): () => void;
  /** What this process committed; resolves when its listeners have heard. */
  committed(entries: JournalEntry[]): Promise<void>;
  close(): Promise<void>;
}

/** Follows one store's journal. */
class Follower implements OpenJournal {
  readonly journal: Journal;
  readonly #options: JournalOptions;
  readonly #meta: string;
  readonly #table: string;
  readonly #writer: () => Writer;
  readonly #listeners = new Set<(entries: JournalEntry[]) => void>();
  /** Who hear what other processes tell. */
  readonly #told = new Set<(text: string) => void>();
  /** Marks what this process tells itself. */
  readonly #self = randomUUID();
  #position = 0;
  #horizon = 0;
  #link: OwnLink | null = null;
  #poll: Timer | null = null;
  #closed = false;
  /** Deliveries, one after another. */
  #tail: Promise<void> = Promise.resolve();

  constructor(options: JournalOptions, writer: () => Writer) {
    this.#options = options;
    this.#writer = writer;
    this.#meta = `${quoted(options.schema)}._meta`;
    this.#table = `${quoted(options.schema)}._journal`;
    this.journal = {
      position: () => this.#position,
      horizon: () => this.#horizon,
      read: (seq, limit) => this.#read(seq, limit),
      onCommit: (listener) => {
        // A wrapper, so that one function can listen twice.
        const own = (entries: JournalEntry[]) => listener(entries);
        this.#listeners.add(own);
        return () => void this.#listeners.delete(own);
      },
      compact: (seq) => this.#compact(seq),
    };
  }

  /** Begins where the journal is now. */
  async start(): Promise<void> {
    await this.#listen();
    this.#position = await this.#state();
    this.#poll = this.#options.clock.every(POLL_MS, () => this.#wake());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#poll?.cancel();
    await this.#link?.end().catch(() => {});
    await this.#tail;
  }

  committed(entries: JournalEntry[]): Promise<void> {
    const first = entries[0];
    if (first === undefined) return Promise.resolve();
    return this.#turn(async () => {
      const until = entries.at(-1)?.seq ?? 0;
      if (first.seq > this.#position + 1) await this.#catchUp(first.seq - 1);
      this.#deliver(entries.filter(({ seq }) => seq > this.#position));
      this.#position = Math.max(this.#position, until);
    });
  }

  async #listen(): Promise<void> {
    const { url, schema } = this.#options;
    const told = channelOf(schema);
    const setup = `LISTEN ${quoted(schema)}; LISTEN ${quoted(told)}`;
    const link = await openLink(url, setup);
    link.onNotice((channel, payload) => {
      if (channel === told) return this.#hear(payload);
      const [position = '0', catalog = ''] = payload.split(' ');
      this.#options.catalog.seen(catalog);
      if (Number(position) > this.#position) this.#wake();
    });
    link.onLost((error) => {
      if (this.#closed) return;
      this.#options.log?.warn({ err: error }, 'not listening to PostgreSQL');
      this.#link = null;
      this.#relisten();
    });
    this.#link = link;
  }

  #relisten(): void {
    setTimeout(() => {
      if (this.#closed) return;
      this.#listen().then(
        () => this.#wake(),
        () => this.#relisten(),
      );
    }, RECONNECT_MS).unref();
  }

  tell(text: string): void {
    const { readers, schema, log } = this.#options;
    const values = [channelOf(schema), this.#self + text];
    readers.query('SELECT pg_notify($1, $2)', values).catch((err: unknown) => {
      log?.debug({ err }, 'the others could not be told');
    });
  }

  onTold(listener: (text: string) => void): () => void {
    const own = (text: string) => listener(text);
    this.#told.add(own);
    return () => void this.#told.delete(own);
  }

  #hear(payload: string): void {
    if (payload.startsWith(this.#self)) return;
    const text = payload.slice(this.#self.length);
    for (const listener of [...this.#told]) {
      try {
        listener(text);
      } catch (err) {
        this.#options.log?.error({ err }, 'what was told was not understood');
      }
    }
  }

  /** Reads counters; returns the position. */
  async #state(): Promise<number> {
    const { rows } = await this.#options.readers.query(
      `SELECT key, value FROM ${this.#meta} WHERE key = ANY($1)`,
      [[META.position, META.horizon, CATALOG]],
    );
    const values = new Map(rows.map((row) => [row['key'], row['value']]));
    this.#options.catalog.seen(String(values.get(CATALOG) ?? '0'));
    this.#horizon = Number(values.get(META.horizon) ?? '0');
    return Number(values.get(META.position) ?? '0');
  }

  #wake(): void {
    if (this.#closed) return;
    void this.#turn(async () => this.#catchUp(await this.#state())).catch(
      (err: unknown) => {
        this.#options.log?.warn({ err }, 'the journal could not be followed');
      },
    );
  }

  #turn(work: () => Promise<void>): Promise<void> {
    const mine = this.#tail.then(work);
    this.#tail = mine.catch(() => {});
    return mine;
  }

  async #catchUp(until: number): Promise<void> {
    while (this.#position < until) {
      const entries = await this.#next();
      const last = entries.at(-1);
      if (last === undefined) return;
      this.#deliver(entries);
      this.#position = last.seq;
    }
  }

  async #next(): Promise<JournalEntry[]> {
    try {
      return await this.#read(this.#position, PAGE);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.name !== 'JournalHorizonError') throw error;
      // Those that follow see the gap in the positions and begin again.
      const horizon = Number(error.context['horizon']);
      this.#options.log?.error(
        { position: this.#position, horizon },
        'entries were forgotten before this process had read them',
      );
      this.#position = horizon;
      return this.#read(horizon, PAGE);
    }
  }

  #deliver(entries: JournalEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#position = last.seq;
    for (const listener of [...this.#listeners]) {
      try {
        listener(entries);
      } catch (err) {
        this.#options.log?.error({ err }, 'a journal listener failed');
      }
    }
  }

  async #read(seq: number, limit: number): Promise<JournalEntry[]> {
    const { readers } = this.#options;
    // The horizon is read after the entries: what it admits was all there.
    const { rows } = await readers.query(
      `SELECT entry FROM ${this.#table} WHERE seq > $1 ORDER BY seq LIMIT $2`,
      [seq, Math.max(0, Math.min(limit, 2 ** 31 - 1))],
    );
    const { rows: after } = await readers.query(
      `SELECT value FROM ${this.#meta} WHERE key = $1`,
      [META.horizon],
    );
    const horizon = Number(after[0]?.['value'] ?? '0');
    if (seq < horizon) {
      throw new StoreError(
        'JournalHorizonError',
        `the journal begins after ${horizon}; ${seq} is forgotten`,
        { horizon: String(horizon), seq: String(seq) },
      );
    }
    return rows.map((row) => row['entry'] as JournalEntry);
  }

  async #compact(seq: number): Promise<void> {
    this.#horizon = await this.#writer().run(async (work) => {
      const before = Number(work.get(META.horizon) ?? '0');
      const until = Math.min(seq, work.position());
      if (until > before) work.set(META.horizon, String(until));
      return Math.max(before, until);
    });
    await this.#options.readers.query(
      `DELETE FROM ${this.#table} WHERE seq <= $1`,
      [this.#horizon],
    );
  }
}

/** Where processes tell each other what is not kept. */
function channelOf(schema: string): string {
  return `${schema.slice(0, 50)} told`;
}

/** @param writer gives the writer, which is made after the journal */
export async function openJournal(
  options: JournalOptions,
  writer: () => Writer,
): Promise<OpenJournal> {
  const follower = new Follower(options, writer);
  await follower.start();
  return follower;
}
