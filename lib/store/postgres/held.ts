// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a group of batches knows of one bucket: its rows as the table has them
 * and as they will be, and who has which unique value. What is not known is
 * asked with a `Question`; nothing here waits for an answer.
 */

import type { Bucket, NumberedIndex } from '../bucket.js';
import { decodeText, encodeText, TEXT_LIMIT } from '../keys.js';
import { notUnique } from '../mutate.js';
import type { StoredObject } from '../types.js';
import { quoted, type Rows, type Statement } from './connection.js';
import { Layered } from './layered.js';
import {
  beginning,
  type Column,
  columnName,
  columnsOf,
  isLong,
  objectOf,
  rowOf,
  SELECTED,
  tableOf,
  upsert,
} from './tables.js';

/** An object and what its columns have. */
export interface Row {
  object: StoredObject;
  columns: Record<string, Column>;
}

/** A statement and what to do with its rows; null when all is known. */
export interface Question {
  statement: Statement | null;
  answer(rows: Rows): void;
}

/** A unique value of an object: where it is, whose, and in what words. */
export interface Unique {
  id: string;
  field: string;
  column: string;
  spec: NumberedIndex;
  text: string;
}

function uniqueFields(bucket: Bucket): [string, NumberedIndex][] {
  return Object.entries(bucket.index).filter(([, { unique }]) => unique);
}

/** An object's unique values. */
export function uniques(
  bucket: Bucket,
  columns: Record<string, Column>,
): Unique[] {
  return uniqueFields(bucket).flatMap(([field, spec]) => {
    const column = columnName(bucket, field, spec);
    const text = columns[column];
    if (typeof text !== 'string') return [];
    return [{ id: holderId(column, text), field, column, spec, text }];
  });
}

function holderId(column: string, text: string): string {
  return `${column}=${text}`;
}

/** One bucket in one group. */
export class Held {
  readonly bucket: Bucket;
  /** As they will be; null when there is none. */
  readonly rows = new Layered<string, Row | null>();
  readonly #schema: string;
  /** As the table has them. */
  readonly #stored = new Map<string, Row | null>();
  /** Which key has a unique value, by column and value. */
  readonly #holders = new Layered<string, string | null>();

  #gaveUp = false;

  constructor(schema: string, bucket: Bucket) {
    this.#schema = schema;
    this.bucket = bucket;
  }

  keep(): void {
    this.rows.keep();
    this.#holders.keep();
  }

  undo(): void {
    this.rows.undo();
    this.#holders.undo();
  }

  /** Notes an object as the table has it, unless it is known. */
  learn(object: StoredObject): Row {
    const row = {
      object,
      columns: columnsOf(this.bucket, object.value, true),
    };
    for (const field of this.bucket.reindex?.fields ?? []) {
      const spec = this.bucket.index[field];
      if (spec === undefined) continue;
      // It may be there already or not: what counts is that it is written.
      row.columns[columnName(this.bucket, field, spec)] = null;
    }
    this.#stored.set(object.key, row);
    this.rows.learn(object.key, row);
    for (const { id } of uniques(this.bucket, row.columns)) {
      this.#holders.learn(id, object.key);
    }
    return this.rows.get(object.key) ?? row;
  }

  /**
   * Gives a key its new row; who has its unique values must be known.
   * @throws StoreError UniqueAttributeError
   */
  save(row: Row, old: Row | null): void {
    const { bucket } = this;
    const { key, value } = row.object;
    const after = uniques(bucket, row.columns);
    for (const { id, field } of after) {
      if ((this.#holders.get(id) ?? key) !== key) {
        throw notUnique(bucket.name, field, value[field]);
      }
    }
    if (old !== null) this.#release(old);
    for (const { id } of after) this.#holders.set(id, key);
    this.rows.set(key, row);
  }

  /** Gives a key its first row, as a copy has it: nothing is asked. */
  insert(row: Row): void {
    this.rows.set(row.object.key, row);
  }

  /** Takes a row away. */
  forget(old: Row): void {
    this.#release(old);
    this.rows.set(old.object.key, null);
  }

  #release(old: Row): void {
    for (const { id } of uniques(this.bucket, old.columns)) {
      if (this.#holders.get(id) === old.object.key) this.#holders.set(id, null);
    }
  }

  /** What differs from the table: first what goes, then what comes. */
  changes(): Statement[] {
    const gone: string[] = [];
    const come: object[] = [];
    for (const [key, row] of this.rows.entries()) {
      const was = this.#stored.get(key) ?? null;
      if (was === row) continue;
      this.#gaveUp ||= was !== null && givesUpAddress(this.bucket, was, row);
      const freed =
        was !== null && (row === null || freesValue(this.bucket, was, row));
      if (freed) gone.push(encodeText(key));
      if (row !== null) come.push(rowOf(row.object, row.columns));
      this.#stored.set(key, row);
    }
    const statements: Statement[] = [];
    if (gone.length > 0) {
      const table = tableOf(this.#schema, this.bucket.name);
      const text = `DELETE FROM ${table} WHERE _key = ANY($1::text[])`;
      statements.push([text, [gone]]);
    }
    if (come.length > 0) {
      const text = upsert(this.#schema, this.bucket);
      statements.push([text, [JSON.stringify(come)]]);
    }
    return statements;
  }

  /** Whether since it was last asked an address went from an `ip` index. */
  gaveUpAddresses(): boolean {
    const gaveUp = this.#gaveUp;
    this.#gaveUp = false;
    return gaveUp;
  }

  /** Objects of some keys, as far as they are not known. */
  askKeys(keys: Set<string>): Question {
    const wanted = [...keys].filter((key) => !this.rows.has(key));
    const bucket = this.bucket;
    const text = `SELECT ${SELECTED} FROM ${tableOf(this.#schema, bucket.name)}
      WHERE _key = ANY($1::text[])`;
    const byText = new Map(wanted.map((key) => [encodeText(key), key]));
    return {
      statement: wanted.length === 0 ? null : [text, [[...byText.keys()]]],
      answer: (rows) => {
        for (const row of rows) {
          const key = byText.get(row['_key'] as string) as string;
          this.learn(objectOf(bucket.name, key, row));
        }
        for (const key of wanted) {
          if (!this.#stored.has(key)) this.#stored.set(key, null);
          this.rows.learn(key, null);
        }
      },
    };
  }

  /** Who has some unique values, as far as that is not known. */
  askHolders(values: Unique[]): Question[] {
    const unknown = values.filter(({ id }) => !this.#holders.has(id));
    const columns = new Map(unknown.map((each) => [each.column, each.spec]));
    const table = tableOf(this.#schema, this.bucket.name);
    return [...columns].map(([column, spec]) => {
      const own = unknown.filter((each) => each.column === column);
      const name = quoted(column);
      const first = isLong(spec)
        ? `${beginning(name)} = ANY($2::text[]) AND `
        : '';
      const texts = own.map(({ text }) => text);
      const starts = texts.map((text) => text.slice(0, TEXT_LIMIT));
      return {
        statement: [
          `SELECT _key, ${name} AS held FROM ${table}
           WHERE ${first}${name} = ANY($1::text[])`,
          isLong(spec) ? [texts, starts] : [texts],
        ],
        answer: (rows) => {
          for (const row of rows) {
            const id = holderId(column, row['held'] as string);
            this.#holders.learn(id, decodeText(row['_key'] as string));
          }
          for (const { id } of own) this.#holders.learn(id, null);
        },
      };
    });
  }
}

function givesUpAddress(bucket: Bucket, was: Row, row: Row | null): boolean {
  return Object.entries(bucket.index).some(([field, spec]) => {
    const column = columnName(bucket, field, spec);
    const had = was.columns[column];
    const gone = row === null || row.columns[column] !== had;
    return spec.type === 'ip' && typeof had === 'string' && gone;
  });
}

/** Whether a row gives up a value that another may take at once. */
function freesValue(bucket: Bucket, was: Row, row: Row): boolean {
  return uniques(bucket, was.columns).some(
    ({ column, text }) => row.columns[column] !== text,
  );
}
