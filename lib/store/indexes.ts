// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Which index entries an object has. Pure. */

import type { Bucket, NumberedIndex } from './bucket.js';
import { EMPTY_ARRAY, indexPrefix, indexValue, longNumber } from './keys.js';
import { elementType, encodeScalar, isArrayType } from './scalar.js';
import { StoreError } from './types.js';

/** Who an entry belongs to. */
export interface IndexEntry {
  field: string;
  /** Set when no other object may have it. */
  unique: boolean;
}

function wrongType(field: string, type: string, value: unknown): StoreError {
  const shown = JSON.stringify(value)?.slice(0, 80) ?? 'undefined';
  return new StoreError(
    'InvalidIndexTypeError',
    `${field} must be of type ${type}; ${shown} is not`,
    { field, type },
  );
}

/** The index values of one field; none of them null unless it is unset. */
function valuesOf(
  field: string,
  spec: NumberedIndex,
  value: unknown,
): (string | null)[] {
  if (value === undefined || value === null) return [null];
  const type = elementType(spec.type);
  const list = isArrayType(spec.type);
  if (list !== Array.isArray(value)) throw wrongType(field, spec.type, value);
  const items: unknown[] = list ? (value as unknown[]) : [value];
  return items.map((item) => {
    const text = encodeScalar(type, item);
    if (text === null) throw wrongType(field, spec.type, item);
    return text;
  });
}

/**
 * A field's texts in the order of its index; one null when it is unset.
 * @param stored as for `indexEntries`
 * @throws StoreError InvalidIndexTypeError naming the field
 */
export function readValues(
  field: string,
  spec: NumberedIndex,
  value: Record<string, unknown>,
  stored: boolean,
): (string | null)[] {
  const own = Object.hasOwn(value, field) ? value[field] : undefined;
  return (stored ? valuesIfTyped : valuesOf)(field, spec, own);
}

/** As `valuesOf`; a value of the wrong type counts as unset. */
function valuesIfTyped(
  field: string,
  spec: NumberedIndex,
  value: unknown,
): (string | null)[] {
  try {
    return valuesOf(field, spec, value);
  } catch (error) {
    if (error instanceof StoreError) return [null];
    throw error;
  }
}

/**
 * @param value the object's content
 * @param id its `_id`
 * @param stored whether the object was stored before, perhaps when an index
 *   had another type: then a wrong type is no error
 * @returns keys of its entries in all of the bucket's indexes
 * @throws StoreError InvalidIndexTypeError naming the field
 */
export function indexEntries(
  bucket: Bucket,
  value: Record<string, unknown>,
  id: number,
  stored: boolean,
): Map<string, IndexEntry> {
  const entries = new Map<string, IndexEntry>();
  const tail = longNumber(id);
  for (const [field, spec] of Object.entries(bucket.index)) {
    const prefix = indexPrefix(bucket.id, spec.number);
    const texts = readValues(field, spec, value, stored);
    if (texts.length === 0) {
      entries.set(prefix + EMPTY_ARRAY + tail, { field, unique: false });
    }
    for (const text of texts) {
      const unique = spec.unique === true && text !== null;
      const key = prefix + indexValue(text) + (unique ? '' : tail);
      entries.set(key, { field, unique });
    }
  }
  return entries;
}
