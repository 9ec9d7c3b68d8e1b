// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** How objects lie in the database, and reading them from any `Reader`. */

import { objectKey } from './keys.js';
import type { Reader } from './reader.js';
import type { StoredObject } from './types.js';

/** The stored form; short names because every object carries them. */
interface Row {
  i: number;
  e: string;
  m: number;
  v: Record<string, unknown>;
}

/** An object as text for the database. */
export function writeRecord(object: StoredObject): string {
  const row: Row = {
    i: object._id,
    e: object._etag,
    m: object._mtime,
    v: object.value,
  };
  return JSON.stringify(row);
}

/** The inverse of `writeRecord`. */
export function readRecord(
  bucket: string,
  key: string,
  text: string,
): StoredObject {
  const row = JSON.parse(text) as Row;
  return {
    bucket,
    key,
    value: row.v,
    _id: row.i,
    _etag: row.e,
    _mtime: row.m,
  };
}

/** One object, or null. */
export function fetchRecord(
  reader: Reader,
  bucket: { id: number; name: string },
  key: string,
): StoredObject | null {
  const text = reader.get(objectKey(bucket.id, key));
  return text === undefined ? null : readRecord(bucket.name, key, text);
}
