// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How the store lies in PostgreSQL. In its schema:
 *
 *     _meta      the counters and bucket configurations that `keys.ts` names
 *     _journal   change events by position
 *     <bucket>   one table a bucket: _key, _id, _etag, _mtime, _value, and a
 *                column for each index, `<field>_<bucket id>_<index number>`
 *
 * A column holds a value as `scalar.ts` writes it, compared byte by byte, so
 * that both engines have one order; unset is NULL. Its name has numbers that
 * are never used again: a process with an old configuration gets an error, not
 * the wrong objects. Texts may be longer than an index entry can be, so what
 * is indexed of them is their beginning.
 */

import type { Bucket, NumberedIndex } from '../bucket.js';
import { readValues } from '../indexes.js';
import { bounded, encodeText, TEXT_LIMIT } from '../keys.js';
import { isArrayType } from '../scalar.js';
import type { StoredObject } from '../types.js';
import { quoted } from './connection.js';

/** What a column can hold. */
export type Column = string | string[] | null;

/** Statements that make an empty store in a schema, unless one is there. */
export function storeTables(schema: string): string {
  const at = quoted(schema);
  return `
    CREATE TABLE IF NOT EXISTS ${at}._meta (
      key text COLLATE "C" PRIMARY KEY,
      value text NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE IF NOT EXISTS ${at}._journal (
      seq bigint PRIMARY KEY,
      entry json NOT NULL
    );`;
}

/** A bucket's table. */
export function tableOf(schema: string, bucket: string): string {
  return `${quoted(schema)}.${quoted(bucket)}`;
}

/** An index's column, as it is named. */
export function columnName(
  bucket: Bucket,
  field: string,
  spec: NumberedIndex,
): string {
  return `${field.slice(0, 40)}_${bucket.id}_${spec.number}`;
}

/** Whether an index has long texts, and so is on their beginnings. */
export function isLong(spec: NumberedIndex): boolean {
  return spec.type === 'string';
}

/** The beginning of a column, as it is indexed. */
export function beginning(column: string): string {
  return `left(${column}, ${TEXT_LIMIT})`;
}

function columnType(spec: NumberedIndex): string {
  return `text${isArrayType(spec.type) ? '[]' : ''} COLLATE "C"`;
}

/** The statement that makes a bucket's table. */
export function createTable(schema: string, bucket: Bucket): string {
  return `
    CREATE TABLE ${tableOf(schema, bucket.name)} (
      _key text COLLATE "C" PRIMARY KEY,
      _id bigint NOT NULL UNIQUE,
      _etag text COLLATE "C" NOT NULL,
      _mtime bigint NOT NULL,
      _value json NOT NULL
    );
    CREATE INDEX ON ${tableOf(schema, bucket.name)} (_mtime);
    ${addColumns(schema, bucket, Object.keys(bucket.index))}`;
}

/** Statements that add the columns and indexes of some fields. */
export function addColumns(
  schema: string,
  bucket: Bucket,
  fields: string[],
): string {
  const table = tableOf(schema, bucket.name);
  const statements = fields.flatMap((field) => {
    const spec = bucket.index[field] as NumberedIndex;
    const column = quoted(columnName(bucket, field, spec));
    const unique = spec.unique === true ? 'UNIQUE ' : '';
    const whole = isArrayType(spec.type)
      ? `USING gin (${column})`
      : !isLong(spec)
        ? `(${column})`
        : spec.unique === true
          ? `(${beginning(column)}, md5(${column}))`
          : `(${beginning(column)})`;
    return [
      `ALTER TABLE ${table} ADD COLUMN ${column} ${columnType(spec)};`,
      `CREATE ${unique}INDEX ON ${table} ${whole};`,
    ];
  });
  return statements.join('\n');
}

/** Statements that drop columns, and with them their indexes. */
export function dropColumns(
  schema: string,
  bucket: Bucket,
  fields: string[],
): string {
  const table = tableOf(schema, bucket.name);
  return fields
    .map((field) => {
      const spec = bucket.index[field] as NumberedIndex;
      const column = quoted(columnName(bucket, field, spec));
      return `ALTER TABLE ${table} DROP COLUMN ${column};`;
    })
    .join('\n');
}

/**
 * What an object has in the columns of its bucket.
 * @param stored as for `indexEntries`
 * @throws StoreError InvalidIndexTypeError naming the field
 */
export function columnsOf(
  bucket: Bucket,
  value: Record<string, unknown>,
  stored: boolean,
): Record<string, Column> {
  const columns: Record<string, Column> = {};
  for (const [field, spec] of Object.entries(bucket.index)) {
    const texts = readValues(field, spec, value, stored);
    const name = columnName(bucket, field, spec);
    if (!isArrayType(spec.type)) columns[name] = texts[0] ?? null;
    else if (texts.includes(null)) columns[name] = null;
    else columns[name] = texts.map((text) => bounded(text as string));
  }
  return columns;
}

/** Columns to select for a `StoredObject`. */
export const SELECTED =
  '_key, _id::float8 AS _id, _etag, _mtime::float8 AS _mtime, _value';

/** A selected row. */
export function objectOf(
  bucket: string,
  key: string,
  row: Record<string, unknown>,
): StoredObject {
  return {
    bucket,
    key,
    value: row['_value'] as Record<string, unknown>,
    _id: row['_id'] as number,
    _etag: row['_etag'] as string,
    _mtime: row['_mtime'] as number,
  };
}

/**
 * The statement that writes rows given as one JSON parameter. A value comes as
 * text, because JSON inside JSON may not have a NUL character.
 */
export function upsert(schema: string, bucket: Bucket): string {
  const table = tableOf(schema, bucket.name);
  const fields = Object.entries(bucket.index).map(([field, spec]) => ({
    name: quoted(columnName(bucket, field, spec)),
    type: isArrayType(spec.type) ? 'text[]' : 'text',
  }));
  const names = fields.map(({ name }) => name);
  const all = ['_key', '_id', '_etag', '_mtime', '_value', ...names];
  const types = fields.map(({ name, type }) => `${name} ${type}`);
  const set = all.slice(1).map((name) => `${name} = excluded.${name}`);
  return `
    INSERT INTO ${table} (${all.join(', ')})
    SELECT _key, _id, _etag, _mtime, _value::json${names
      .map((name) => `, ${name}`)
      .join('')}
    FROM json_to_recordset($1::json) AS r(${[
      '_key text, _id bigint, _etag text, _mtime bigint, _value text',
      ...types,
    ].join(', ')})
    ON CONFLICT (_key) DO UPDATE SET ${set.join(', ')}`;
}

/** One row for `upsert`. */
export function rowOf(
  object: StoredObject,
  columns: Record<string, Column>,
): object {
  return {
    _key: encodeText(object.key),
    _id: object._id,
    _etag: object._etag,
    _mtime: object._mtime,
    _value: JSON.stringify(object.value),
    ...columns,
  };
}
