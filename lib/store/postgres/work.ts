// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The work of one group in one transaction of PostgreSQL: objects are read
 * once, changed here as the embedded engine changes them, and written
 * together. The group has the store's lock, so nothing changes under it.
 */

import { randomUUID } from 'node:crypto';
import type { Target, Written } from '../batch.js';
import { checkEtag, etagOf, updateEtag } from '../etag.js';
import { META, nextIdKey } from '../keys.js';
import {
  byBucket,
  highest,
  ONE,
  objectNotFound,
  refuseFound,
  updateValues,
} from '../mutate.js';
import type {
  EtagCondition,
  Image,
  JournalEntry,
  JournalEvent,
  StoredObject,
} from '../types.js';
import type { Catalog } from './catalog.js';
import { type OwnLink, quoted, type Statement } from './connection.js';
import { find } from './find.js';
import { gapKey } from './gap.js';
import { Held, type Question, type Row, uniques } from './held.js';
import { Layered } from './layered.js';
import { columnsOf } from './tables.js';

/** What a batch will ask for, so that it is asked for at once. */
export interface Touch {
  bucket: string;
  key: string;
  /** For a put: the new value. */
  value?: Record<string, unknown>;
}

export class Work implements Target {
  readonly now: number;
  readonly #link: OwnLink;
  readonly #schema: string;
  readonly #catalog: Catalog;
  readonly #held = new Map<string, Held>();
  readonly #meta = new Layered<string, string>();
  readonly #changedMeta = new Set<string>();
  readonly #entries: JournalEntry[] = [];
  #kept = 0;
  #position: number;

  /** @param meta counters that were read under the lock */
  constructor(
    link: OwnLink,
    schema: string,
    catalog: Catalog,
    meta: Map<string, string>,
    now: number,
  ) {
    this.#link = link;
    this.#schema = schema;
    this.#catalog = catalog;
    this.now = now;
    for (const [key, value] of meta) this.#meta.learn(key, value);
    this.#position = Number(meta.get(META.position) ?? '0');
  }

  /** Entries appended by what was kept. */
  get entries(): JournalEntry[] {
    return this.#entries;
  }

  position(): number {
    return this.#position + this.#entries.length;
  }

  append(events: JournalEvent[]): void {
    for (const event of events) {
      const seq = this.position() + 1;
      this.#entries.push({ ...event, seq, published: this.now });
    }
  }

  /** Ends a batch that succeeded. */
  keep(): void {
    this.#kept = this.#entries.length;
    this.#meta.keep();
    for (const held of this.#held.values()) held.keep();
  }

  /**
   * Ends a batch that failed.
   * @param flushed whether something of it was written and rolled back
   */
  undo(flushed: boolean): void {
    this.#entries.length = this.#kept;
    this.#meta.undo();
    for (const held of this.#held.values()) held.undo();
    if (flushed) this.#held.clear();
  }

  /** Reads what batches will touch, in one flight. */
  async prepare(touches: Touch[]): Promise<void> {
    const names = [...new Set(touches.map(({ bucket }) => bucket))];
    const helds = new Map<string, Held>();
    for (const name of names) {
      // A bucket that is missing fails the batch, not the group.
      const held = await this.#hold(name).catch(() => null);
      if (held !== null) helds.set(name, held);
    }
    const questions: Question[] = [];
    for (const [name, held] of helds) {
      const own = touches.filter(({ bucket }) => bucket === name);
      questions.push(held.askKeys(new Set(own.map(({ key }) => key))));
      const values = own.flatMap(({ value }) =>
        value ? uniques(held.bucket, columnsOf(held.bucket, value, true)) : [],
      );
      questions.push(...held.askHolders(values));
      const id = nextIdKey(held.bucket.id);
      if (!this.#meta.has(id)) questions.push(this.#askMeta(id));
    }
    await this.#ask(questions);
  }

  async put(
    name: string,
    key: string,
    json: string,
    condition: EtagCondition,
  ): Promise<Written> {
    const held = await this.#hold(name);
    const old = await this.#row(held, key);
    checkEtag(name, key, condition, old?.object._etag ?? null);
    const value = JSON.parse(json) as Record<string, unknown>;
    const columns = columnsOf(held.bucket, value, false);
    const object: StoredObject = {
      bucket: name,
      key,
      value,
      _id: old?.object._id ?? (await this.#takeId(held)),
      _etag: etagOf(json),
      _mtime: this.now,
    };
    await this.#save(held, { object, columns }, old);
    return { etag: object._etag, id: object._id, update: old !== null };
  }

  async remove(
    name: string,
    key: string,
    condition: EtagCondition,
  ): Promise<number> {
    const held = await this.#hold(name);
    const old = await this.#row(held, key);
    if (old === null) throw objectNotFound(name, key);
    checkEtag(name, key, condition ?? undefined, old.object._etag);
    held.forget(old);
    return old.object._id;
  }

  async check(
    name: string,
    key: string,
    condition: EtagCondition,
  ): Promise<void> {
    const row = await this.#row(await this.#hold(name), key);
    checkEtag(name, key, condition, row?.object._etag ?? null);
  }

  async update(
    name: string,
    fields: Record<string, unknown>,
    filter: string,
  ): Promise<{ etag: string; count: number }> {
    const held = await this.#hold(name);
    const values = updateValues(held.bucket, fields);
    const found = await this.#matching(held, filter);
    const count = Number(this.#meta.get(META.updates) ?? '1');
    this.set(META.updates, String(count + 1));
    const _etag = updateEtag(count);
    for (const old of found) {
      const value = { ...old.object.value, ...values };
      const columns = columnsOf(held.bucket, value, false);
      const object = { ...old.object, value, _etag, _mtime: this.now };
      await this.#save(held, { object, columns }, old);
    }
    return { etag: _etag, count: found.length };
  }

  async deleteMany(name: string, filter: string): Promise<{ count: number }> {
    const held = await this.#hold(name);
    const found = await this.#matching(held, filter);
    for (const old of found) held.forget(old);
    return { count: found.length };
  }

  async absent(name: string, filter: string): Promise<void> {
    const held = await this.#hold(name);
    await this.flush();
    const { bucket } = held;
    const found = await find(this.#link, this.#schema, bucket, filter, ONE);
    refuseFound(found.objects);
  }

  /** Writes part of a copy. */
  async restore(image: Image): Promise<void> {
    for (const [name, objects] of byBucket(image.objects ?? [])) {
      const held = await this.#hold(name);
      for (const object of objects) {
        const columns = columnsOf(held.bucket, object.value, true);
        held.insert({ object, columns });
      }
      const { id, update } = highest(objects);
      await this.#raise(nextIdKey(held.bucket.id), id + 1);
      await this.#raise(META.updates, update + 1);
    }
    if (image.unfinished !== undefined) {
      this.set(META.unfinished, image.unfinished ? 'yes' : '');
    }
    if (image.horizon !== undefined) {
      this.set(META.horizon, String(image.horizon));
      this.set(META.position, String(image.horizon));
      this.#position = image.horizon;
    }
    this.#entries.push(...(image.entries ?? []));
  }

  async #raise(key: string, least: number): Promise<void> {
    if (!this.#meta.has(key)) await this.#ask([this.#askMeta(key)]);
    if (Number(this.#meta.get(key) ?? '1') < least) {
      this.set(key, String(least));
    }
  }

  /** Gives waiting columns of some objects what belongs there. */
  async rebuild(name: string, objects: StoredObject[]): Promise<void> {
    const held = await this.#hold(name);
    for (const object of objects) {
      const old = held.learn(object);
      const columns = columnsOf(held.bucket, object.value, true);
      await this.#save(held, { object, columns }, old);
    }
  }

  /** One counter or configuration; those of buckets must have been read. */
  get(key: string): string | undefined {
    return this.#meta.get(key);
  }

  set(key: string, value: string): void {
    this.#meta.set(key, value);
    this.#changedMeta.add(key);
  }

  /** Writes everything so far to the tables. */
  async flush(): Promise<void> {
    const statements: Statement[] = [];
    for (const held of this.#held.values()) {
      statements.push(...held.changes());
      if (held.gaveUpAddresses()) this.set(gapKey(held.bucket), randomUUID());
    }
    if (statements.length > 0) await this.#link.flight(statements);
  }

  /** Statements for counters and journal, which are written last. */
  last(): Statement[] {
    const at = quoted(this.#schema);
    const statements: Statement[] = [];
    if (this.#entries.length > 0) {
      this.#meta.set(META.position, String(this.position()));
      this.#changedMeta.add(META.position);
      statements.push([
        `INSERT INTO ${at}._journal (seq, entry)
         SELECT * FROM unnest($1::bigint[], $2::json[])`,
        [
          this.#entries.map(({ seq }) => seq),
          this.#entries.map((entry) => JSON.stringify(entry)),
        ],
      ]);
    }
    const meta = [...this.#changedMeta].flatMap((key) => {
      const value = this.#meta.get(key);
      return value === undefined ? [] : [{ key, value }];
    });
    if (meta.length > 0) {
      statements.push([
        `INSERT INTO ${at}._meta (key, value)
         SELECT key, value
         FROM json_to_recordset($1::json) AS r(key text, value text)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        [JSON.stringify(meta)],
      ]);
    }
    return statements;
  }

  async #hold(name: string): Promise<Held> {
    const known = this.#held.get(name);
    if (known !== undefined) return known;
    const bucket = await this.#catalog.bucket(this.#link, name);
    const held = new Held(this.#schema, bucket);
    this.#held.set(name, held);
    return held;
  }

  async #row(held: Held, key: string): Promise<Row | null> {
    if (!held.rows.has(key)) {
      await this.#ask([held.askKeys(new Set([key]))]);
    }
    return held.rows.get(key) ?? null;
  }

  async #save(held: Held, row: Row, old: Row | null): Promise<void> {
    const values = uniques(held.bucket, row.columns);
    await this.#ask(held.askHolders(values));
    held.save(row, old);
  }

  async #takeId(held: Held): Promise<number> {
    const key = nextIdKey(held.bucket.id);
    if (!this.#meta.has(key)) await this.#ask([this.#askMeta(key)]);
    const id = Number(this.#meta.get(key) ?? '1');
    this.set(key, String(id + 1));
    return id;
  }

  async #matching(held: Held, filter: string): Promise<Row[]> {
    await this.flush();
    const found = await find(this.#link, this.#schema, held.bucket, filter, {});
    return found.objects.map((object) => {
      if (!held.rows.has(object.key)) return held.learn(object);
      return held.rows.get(object.key) as Row;
    });
  }

  async #ask(questions: Question[]): Promise<void> {
    const all = questions.filter(({ statement }) => statement !== null);
    const answers = await this.#link.flight(
      all.map(({ statement }) => statement as Statement),
    );
    all.forEach(({ answer }, i) => {
      answer(answers[i] ?? []);
    });
  }

  #askMeta(key: string): Question {
    const text = `SELECT value FROM ${quoted(this.#schema)}._meta WHERE key = $1`;
    return {
      statement: [text, [key]],
      answer: (rows) =>
        this.#meta.learn(key, (rows[0]?.['value'] as string) ?? '1'),
    };
  }
}
