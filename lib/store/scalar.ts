// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Typed values as text that compares as they do: the one place that knows what
 * order a number, an address, a MAC, a date or a range has. Indexes, filters and sorting all
 * compare this text. Pure values.
 */

import { parseMac } from '#lib/net/mac.js';
import { encodeAddress, encodePrefix, parsePrefix } from './address.js';
import { encodeText } from './keys.js';
import { encodeRange, parseRange, type Range } from './range.js';
import type { IndexType, ScalarIndexType } from './types.js';

/** The form of ISO 8601 that moray takes: in UTC, to the second or finer. */
const DATE = /^(?:[-+]00)?\d+-\d+-\d+T\d+:\d+:\d+(?:\.\d+)?Z$/;
const DECIMAL = /^-?\d+(?:\.\d+)?$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** For the bits of one number at a time. */
const BITS = new DataView(new ArrayBuffer(8));

/** The type of an index's elements. */
export function elementType(type: IndexType): ScalarIndexType {
  return (type.startsWith('[') ? type.slice(1, -1) : type) as ScalarIndexType;
}

/** Whether a value of this type is a list. */
export function isArrayType(type: IndexType): boolean {
  return type.startsWith('[');
}

/**
 * @param type the index's element type
 * @param value as stored in an object or written in a filter
 * @returns ordered text, or null when the value is not of the type
 */
export function encodeScalar(
  type: ScalarIndexType,
  value: unknown,
): string | null {
  switch (type) {
    case 'string':
      return isPlain(value) ? encodeText(String(value)) : null;
    case 'number':
      return encodeNumber(value);
    case 'boolean':
      return encodeBoolean(value);
    case 'ip':
      return encodeAddress(value);
    case 'subnet': {
      const prefix = parsePrefix(value);
      return prefix === null ? null : encodePrefix(prefix);
    }
    case 'mac':
      return encodeMac(value);
    case 'uuid':
      return typeof value === 'string' && UUID.test(value)
        ? value.toLowerCase()
        : null;
    case 'date':
      return encodeDate(value);
    case 'numrange':
    case 'daterange': {
      const range = rangeOf(type, value);
      return range === null ? null : encodeRange(range);
    }
  }
}

/** A range, its bounds as `encodeScalar` writes them; null when it is none. */
export function rangeOf(
  type: 'numrange' | 'daterange',
  value: unknown,
): Range | null {
  return parseRange(value, type === 'daterange' ? encodeDate : encodeDecimal);
}

/**
 * A filter's or update's text as a value of the type, such as `false` for
 * "false" (facts: triton-napi 9.2, batch). Null when it cannot be one.
 */
export function coerce(type: IndexType, value: unknown): unknown {
  if (isArrayType(type)) {
    if (!Array.isArray(value)) return null;
    const items = value.map((item) => coerce(elementType(type), item));
    return items.includes(null) ? null : items;
  }
  if (encodeScalar(type as ScalarIndexType, value) === null) return null;
  if (type === 'number') return Number(value);
  if (type === 'boolean') return encodeBoolean(value) === 't';
  if (type === 'string') return String(value);
  if (type === 'date') return new Date(String(value)).toISOString();
  return value;
}

function isPlain(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function encodeBoolean(value: unknown): string | null {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value !== 'string') return null;
  if (/^true$/i.test(value)) return 't';
  return /^false$/i.test(value) ? 'f' : null;
}

/** IEEE 754 bits, turned so that their order is the numbers'. */
function encodeNumber(value: unknown): string | null {
  const number =
    typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return null;
  BITS.setFloat64(0, number + 0);
  const high = BITS.getUint32(0);
  const low = BITS.getUint32(4);
  // A negative one has all bits turned, any other its sign alone.
  return number < 0
    ? hexWord(~high >>> 0) + hexWord(~low >>> 0)
    : hexWord((high | 0x80000000) >>> 0) + hexWord(low);
}

function hexWord(word: number): string {
  return word.toString(16).padStart(8, '0');
}

function encodeDecimal(text: string): string | null {
  return DECIMAL.test(text) ? encodeNumber(text) : null;
}

function encodeDate(value: unknown): string | null {
  if (typeof value !== 'string' || !DATE.test(value)) return null;
  return encodeNumber(Date.parse(value));
}

function encodeMac(value: unknown): string | null {
  const number = typeof value === 'string' ? parseMac(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) return null;
  if (number < 0 || number >= 2 ** 48) return null;
  return number.toString(16).padStart(12, '0');
}
