// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Checks of plain values, with NAPI's messages (facts: triton-napi 1.3). */

import { isVnet } from '#lib/net/vnet.js';
import { type Check, Fault } from './params.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Control characters but tab and line feed, and halves of surrogate pairs. */
export const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cs}]/u;
const MAX_TEXT = 64;
const MAX_LIMIT = 1000;

/** Whether a value is a UUID as Triton writes them: lower case. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

export const string: Check<string> = (value) => {
  if (typeof value !== 'string') return new Fault('must be a string');
  if (value.length > MAX_TEXT) {
    return new Fault(`must not be longer than ${MAX_TEXT} characters`);
  }
  if (value.trim() === '') return new Fault('must not be empty');
  return UNPRINTABLE.test(value)
    ? new Fault('must not contain control characters')
    : value;
};

/** Text that may be empty, which clears it. */
export const clearableString: Check<string> = (value) =>
  value === '' || value === null ? '' : string(value);

/** A list as an array or as comma-separated text. */
export const stringOrArray: Check<string[]> = (value) => {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) return new Fault('must be an array of strings');
  if (list.length === 0) return new Fault('must not be an empty array');
  if (!list.every((item) => typeof item === 'string')) {
    return new Fault('must be an array of strings');
  }
  if (list.some((item) => item.trim() === '')) {
    return new Fault('must not be empty');
  }
  return list;
};

export const uuid: Check<string> = (value) =>
  isUuid(value) ? value : new Fault('invalid UUID');

/** Without duplicates and sorted. */
export const uuidArray: Check<string[]> = (value) => {
  const list = typeof value === 'string' ? split(value) : value;
  if (!Array.isArray(list) || !list.every((u) => typeof u === 'string')) {
    return new Fault('must be an array of strings');
  }
  const wrong = list.filter((item) => !isUuid(item)).sort();
  if (wrong.length > 0) return new Fault('invalid UUID', { invalid: wrong });
  return [...new Set<string>(list)].sort();
};

/** As `uuidArray`, for filters: no list at all finds nothing to look for. */
export const someUuids: Check<string[]> = (value) => {
  const list = uuidArray(value);
  return Array.isArray(list) && list.length === 0
    ? new Fault('must not be an empty array')
    : list;
};

function split(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** A UUID, or the start of one followed by `*`. */
export const uuidPrefix: Check<string> = (value) => {
  if (isUuid(value)) return value;
  const text = string(value);
  if (text instanceof Fault) return text;
  if ((text.match(/\*/g) ?? []).length > 1) {
    return new Fault('need only 1 wildcard');
  }
  if (!text.endsWith('*')) {
    return text.includes('*')
      ? new Fault('only UUID prefixes are allowed')
      : new Fault('invalid UUID');
  }
  return /^[0-9a-f-]*\*$/.test(text)
    ? text
    : new Fault('UUID prefix has invalid chars');
};

export const bool: Check<boolean> = (value) => {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  return new Fault('must be a boolean value');
};

/** One of some words. */
export function oneOf<T extends string>(...words: readonly T[]): Check<T> {
  const listed = words.map((word) => `"${word}"`).join(', ');
  return (value) =>
    words.find((word) => word === value) ??
    new Fault(`must be one of: ${listed}`);
}

export const vlanId: Check<number> = (value) => {
  const id = number(value);
  return id !== null && id >= 0 && id <= 4094
    ? id
    : new Fault('VLAN ID must be a number between 0 and 4094, and not 1');
};

export const vnetId: Check<number> = (value) => {
  const id = number(value);
  return isVnet(id)
    ? id
    : new Fault('VNET ID must be a number between 0 and 16777215');
};

/** A number or its text; null when it is neither, or not whole. */
function number(value: unknown): number | null {
  const digits = typeof value === 'string' && /^\d{1,15}$/.test(value);
  const given = digits ? Number(value) : value;
  return Number.isSafeInteger(given) ? (given as number) : null;
}

/** The length of a subnet that NAPI is to find. */
export const subnetPrefix: Check<number> = (value) => {
  if (typeof value !== 'number') {
    return new Fault('Subnet prefix should be number');
  }
  return value === 24 ? value : new Fault('Only /24 is supported');
};

/** Sizes in bytes; text is refused, as NAPI does. */
export function mtu(low: number): Check<number> {
  return (value) =>
    Number.isInteger(value) &&
    (value as number) >= low &&
    (value as number) <= 9000
      ? (value as number)
      : new Fault(`mtu must be a number between ${low} and 9000`);
}

/** Which fields to show. */
export function fields(known: readonly string[]): Check<string[]> {
  return (value) => {
    if (!Array.isArray(value) || !value.every((f) => typeof f === 'string')) {
      return new Fault('must be an array of strings');
    }
    if (value.length === 0) return new Fault('must not be an empty array');
    if (value.length > known.length) {
      return new Fault(`can only specify a maximum of ${known.length} fields`);
    }
    return value.every((field) => known.includes(field))
      ? value
      : new Fault('unknown field specified');
  };
}

export const limit: Check<number> = (value) => {
  const count = number(value);
  return count !== null && count >= 1 && count <= MAX_LIMIT
    ? count
    : new Fault(
        'invalid limit, must be an integer greater than 0 ' +
          `or less than or equal to ${MAX_LIMIT}`,
      );
};

export const offset: Check<number> = (value) => {
  const count = number(value);
  return count !== null && count >= 0
    ? count
    : new Fault(
        'invalid value, offset must be an integer greater than or equal to 0',
      );
};

/** Accepts anything: for fields that another check looks at. */
export const anything: Check<unknown> = (value) => value;

/** The name of a NIC tag. */
export const tagName: Check<string> = (value) => {
  const text = string(value);
  if (text instanceof Fault) return text;
  if (text.length > 31) {
    return new Fault('must not be longer than 31 characters');
  }
  return /^[a-zA-Z0-9_]+$/.test(text)
    ? text
    : new Fault('must only contain numbers, letters and underscores');
};
