// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Parameters of the nouns that NAPI does not have (AIPs, zones, public IPs),
 * read one by one: null counts as not sent, and every fault is found before any
 * is reported. The checks are those of values.ts and the few below. Pure.
 */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
} from '#lib/errors.js';
import { formatIpv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Check, Fault, refuse } from './params.js';
import { UNPRINTABLE } from './values.js';

const MAX_TEXT = 1024;
const MAX_TAGS = 128;
const MAX_TAG_NAME = 128;

/** A dotted quad; NAPI's integer addresses are not taken here. */
export const address: Check<string> = (value) => {
  const ip = typeof value === 'string' ? parseIpv4(value) : null;
  return ip === null ? new Fault('invalid IP address') : formatIpv4(ip);
};

/** A description: longer than NAPI's strings, and it may be empty. */
export const text: Check<string> = (value) => {
  if (typeof value !== 'string' || value.length > MAX_TEXT) {
    return new Fault(`must be text of at most ${MAX_TEXT} characters`);
  }
  return UNPRINTABLE.test(value)
    ? new Fault('must not contain control characters')
    : value;
};

/** A number, or its text, in a range. */
export function integer(low: number, high: number): Check<number> {
  return (value) => {
    const digits = typeof value === 'string' && /^\d+$/.test(value);
    const number = digits ? Number(value) : value;
    const good =
      Number.isInteger(number) &&
      (number as number) >= low &&
      (number as number) <= high;
    return good
      ? (number as number)
      : new Fault(`must be an integer from ${low} to ${high}`);
  };
}

type Tags = Record<string, string | number | boolean>;

/** A flat object of strings, numbers and booleans. */
export const tags: Check<Tags> = (value) => {
  const plain =
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = plain ? Object.entries(value) : [];
  const good =
    plain &&
    entries.length <= MAX_TAGS &&
    entries.every(
      ([key, each]) =>
        key.length > 0 &&
        key.length <= MAX_TAG_NAME &&
        ['string', 'number', 'boolean'].includes(typeof each) &&
        String(each).length <= MAX_TEXT &&
        !UNPRINTABLE.test(`${key}${each}`),
    );
  return good
    ? (value as Tags)
    : new Fault(
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
    const value = check(raw);
    if (!(value instanceof Fault)) return value;
    this.#faults.push(invalidParameter(field, value.message, value.extra));
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
    refuse(this.#faults);
  }
}
