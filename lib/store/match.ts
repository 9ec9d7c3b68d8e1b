// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Whether an object matches a filter. A comparison with an unset field is
 * false, so its negation is true: NAPI relies on that (facts: triton-napi
 * 9.2). Fields without an index are compared as text. Pure.
 */

import { type Bucket, indexOn } from './bucket.js';
import { type Extended, extendedOf } from './extended.js';
import type { Filter } from './filter.js';
import { elementType, encodeScalar } from './scalar.js';
import {
  type ScalarIndexType,
  type StoredObject,
  StoreError,
} from './types.js';

export type Predicate = (object: StoredObject) => boolean;

const INTERNAL: Record<string, ScalarIndexType> = {
  _id: 'number',
  _mtime: 'number',
  _key: 'string',
  _etag: 'string',
  _txn_snap: 'number',
};

/** The type that comparisons with a field use; string when it has none. */
export function comparedType(bucket: Bucket, field: string): ScalarIndexType {
  if (Object.hasOwn(INTERNAL, field)) {
    return INTERNAL[field] as ScalarIndexType;
  }
  const spec = indexOn(bucket, field);
  return spec === undefined ? 'string' : elementType(spec.type);
}

/** Whether a field is one that every object has. */
export function isInternal(field: string): boolean {
  return Object.hasOwn(INTERNAL, field);
}

/** A field's value or values, unset ones left out. */
export function fieldValues(object: StoredObject, field: string): unknown[] {
  const value = fieldValue(object, field);
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** A field's value as it is. */
export function fieldValue(object: StoredObject, field: string): unknown {
  if (field === '_key') return object.key;
  if (isInternal(field)) {
    return (object as unknown as Record<string, unknown>)[field];
  }
  return Object.hasOwn(object.value, field) ? object.value[field] : undefined;
}

/**
 * A filter's value in the order of its field.
 * @throws StoreError InvalidQueryError when it is not of the field's type
 */
export function filterText(
  bucket: Bucket,
  field: string,
  value: string,
): string {
  const type = comparedType(bucket, field);
  const text = encodeScalar(type, value);
  if (text === null) {
    throw new StoreError(
      'InvalidQueryError',
      `invalid filter: ${field} is of type ${type}; "${value}" is not`,
      { field },
    );
  }
  return text;
}

/**
 * Makes the test for a filter.
 * @throws StoreError InvalidQueryError for a value of the wrong type
 */
export function compileFilter(bucket: Bucket, filter: Filter): Predicate {
  switch (filter.kind) {
    case 'and': {
      const tests = filter.terms.map((term) => compileFilter(bucket, term));
      return (object) => tests.every((matches) => matches(object));
    }
    case 'or': {
      const tests = filter.terms.map((term) => compileFilter(bucket, term));
      return (object) => tests.some((matches) => matches(object));
    }
    case 'not': {
      const matches = compileFilter(bucket, filter.term);
      return (object) => !matches(object);
    }
    case 'present': {
      const { field } = filter;
      return (object) => (fieldValue(object, field) ?? null) !== null;
    }
    case 'substring':
      return compileSubstring(bucket, filter.field, filter.parts);
    case 'ext':
      return compileExtended(bucket, filter);
    default:
      return compileComparison(bucket, filter);
  }
}

function compileComparison(
  bucket: Bucket,
  filter: { kind: 'eq' | 'ge' | 'le'; field: string; value: string },
): Predicate {
  const { field, kind } = filter;
  const type = comparedType(bucket, field);
  const wanted = filterText(bucket, field, filter.value);
  return (object) =>
    fieldValues(object, field).some((value) => {
      const text = encodeScalar(type, value);
      if (text === null) return false;
      if (kind === 'eq') return text === wanted;
      return kind === 'ge' ? text >= wanted : text <= wanted;
    });
}

function compileSubstring(
  bucket: Bucket,
  field: string,
  parts: string[],
): Predicate {
  const type = comparedType(bucket, field);
  const list = indexOn(bucket, field)?.type.startsWith('[') ?? false;
  if (type !== 'string' || list) {
    throw new StoreError(
      'InvalidQueryError',
      `invalid filter: ${field} is not a string; "*" cannot match in it`,
      { field },
    );
  }
  return (object) =>
    fieldValues(object, field).some((value) => hasParts(String(value), parts));
}

/** Whether `text` is the parts in order with anything between them. */
function hasParts(text: string, parts: string[]): boolean {
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from <= text.length - last.length;
}

function compileExtended(
  bucket: Bucket,
  filter: { field: string; rule: string; value: string },
): Predicate {
  const { field, rule, value } = filter;
  if (rule === 'caseIgnoreMatch') {
    const wanted = value.toLowerCase();
    return (object) =>
      fieldValues(object, field).some(
        (item) => String(item).toLowerCase() === wanted,
      );
  }
  if (rule === 'caseIgnoreSubstringsMatch') {
    const parts = JSON.parse(value) as string[];
    return (object) =>
      fieldValues(object, field).some((item) => {
        const text = String(item).toLowerCase();
        return parts.length === 1 ? text === parts[0] : hasParts(text, parts);
      });
  }
  const { matches } = extendedMatch(bucket, filter);
  return (object) => fieldValues(object, field).some(matches);
}

/**
 * What `overlaps`, `contains` or `within` asks.
 * @throws StoreError NotIndexedError when the field has no type to ask it of,
 *   InvalidQueryError when the type or the value is not one for the rule
 */
export function extendedMatch(
  bucket: Bucket,
  filter: { field: string; rule: string; value: string },
): Extended {
  const { field, rule, value } = filter;
  if (indexOn(bucket, field) === undefined) {
    throw new StoreError(
      'NotIndexedError',
      `${bucket.name} has no index on "${field}" for ${rule}`,
      { bucket: bucket.name, field },
    );
  }
  const type = comparedType(bucket, field);
  const found = extendedOf(type, rule, value);
  if (found !== null) return found;
  throw new StoreError(
    'InvalidQueryError',
    `invalid filter: ${field} is of type ${type}; ${rule} "${value}" ` +
      'cannot be asked of it',
    { field },
  );
}
