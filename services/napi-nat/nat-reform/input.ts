// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Request parameters checked at the edge. Values may come from a JSON body or,
 * as text, from the query; every fault is found before any is reported. Pure.
 */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
  ServiceError,
} from '#lib/errors.js';
import { formatIpv4, parseIpv4 } from '#lib/net/ipv4.js';

/** Reads one value; a FieldError is a fault. */
export type Check<T> = (value: unknown, field: string) => T | FieldError;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Control characters but tab and line feed, and halves of surrogate pairs. */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cs}]/u;
const MAX_TEXT = 1024;
const MAX_TAGS = 128;

/** Whether text is a UUID as Triton writes them. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

function isFault(value: unknown): value is FieldError {
  return (value as FieldError | null)?.code === 'InvalidParameter';
}

export const uuid: Check<string> = (value, field) =>
  isUuid(value) ? value : invalidParameter(field, 'invalid UUID');

export const address: Check<string> = (value, field) => {
  const ip = typeof value === 'string' ? parseIpv4(value) : null;
  return ip === null
    ? invalidParameter(field, 'invalid IP address')
    : formatIpv4(ip);
};

export const text: Check<string> = (value, field) => {
  if (typeof value !== 'string' || value.length > MAX_TEXT) {
    const message = `must be text of at most ${MAX_TEXT} characters`;
    return invalidParameter(field, message);
  }
  return UNPRINTABLE.test(value)
    ? invalidParameter(field, 'must not contain control characters')
    : value;
};

export const bool: Check<boolean> = (value, field) => {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  return invalidParameter(field, 'must be a boolean value');
};

/** A number, or its text, in a range. */
export function integer(low: number, high: number): Check<number> {
  return (value, field) => {
    const digits = typeof value === 'string' && /^\d+$/.test(value);
    const number = digits ? Number(value) : value;
    const good =
      Number.isInteger(number) &&
      (number as number) >= low &&
      (number as number) <= high;
    return good
      ? (number as number)
      : invalidParameter(field, `must be an integer from ${low} to ${high}`);
  };
}

/** One of some words. */
export function oneOf<T extends string>(...words: T[]): Check<T> {
  return (value, field) =>
    words.find((word) => word === value) ??
    invalidParameter(
      field,
      `must be one of: ${words.map((word) => `"${word}"`).join(', ')}`,
    );
}

export const tags: Check<Record<string, string | number | boolean>> = (
  value,
  field,
) => {
  const plain =
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = plain ? Object.entries(value) : [];
  const good =
    plain &&
    entries.length <= MAX_TAGS &&
    entries.every(
      ([key, each]) =>
        key.length > 0 &&
        key.length <= 128 &&
        ['string', 'number', 'boolean'].includes(typeof each) &&
        String(each).length <= MAX_TEXT &&
        !UNPRINTABLE.test(`${key}${each}`),
    );
  return good
    ? (value as Record<string, string | number | boolean>)
    : invalidParameter(
        field,
        `must be an object of at most ${MAX_TAGS} strings, numbers or booleans`,
      );
};

/** Collects values and faults of one request. */
export class Parameters {
  readonly #params: Record<string, unknown>;
  readonly #faults: FieldError[] = [];

  constructor(params: Record<string, unknown>) {
    this.#params = params;
  }

  /** The value, or undefined when it was not sent (null counts as not). */
  optional<T>(field: string, check: Check<T>): T | undefined {
    const raw = this.#params[field];
    if (raw === undefined || raw === null) return undefined;
    const value = check(raw, field);
    if (!isFault(value)) return value;
    this.#faults.push(value);
    return undefined;
  }

  /** As `optional`, where a null or "" that was sent means "clear". */
  clearable<T>(field: string, check: Check<T>): T | null | undefined {
    const raw = this.#params[field];
    if (raw === null || raw === '') return null;
    return this.optional(field, check);
  }

  /** The value; `finish` will throw when it is missing or wrong. */
  required<T>(field: string, check: Check<T>): T {
    const raw = this.#params[field];
    if (raw === undefined || raw === null || raw === '') {
      this.#faults.push(missingParameter(field));
    }
    return this.optional(field, check) as T;
  }

  /** @throws ServiceError 422 InvalidParameters with every fault found */
  finish(): void {
    if (this.#faults.length === 0) return;
    const errors = this.#faults.sort((a, b) =>
      String(a.field) < String(b.field) ? -1 : 1,
    );
    const missing = errors.every((each) => each.code === 'MissingParameter');
    throw new ServiceError(422, {
      code: 'InvalidParameters',
      message: missing ? 'Missing parameters' : 'Invalid parameters',
      errors,
    });
  }
}
