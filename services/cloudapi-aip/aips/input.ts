// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Checks what a customer sent. Parameters may come from a JSON body, a form or
 * the query (then they are all text), under RFD 158's names or CloudAPI's
 * (facts: cloudapi 1.3). Every fault is found before any is reported. Pure.
 */

import { type FieldError, invalidParameter } from '#lib/errors.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { invalidArgument } from './translate.js';

export type Tags = Record<string, string | number | boolean>;

/** What Create and Update take; absent means not given. */
export interface AipInput {
  instance?: string;
  private_ip?: string;
  description?: string;
  tags?: Tags;
  remap?: boolean;
}

export interface ListInput {
  limit: number;
  offset: number;
  marker?: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MAX_OFFSET = 2 ** 31;
const MAX_TEXT = 1024;
const MAX_TAGS = 128;
const MAX_TAG_NAME = 128;

/** Whether text is a UUID as every Triton API writes them. */
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text);
}

type Params = Record<string, unknown>;
type Check<T> = (value: unknown, field: string) => T | FieldError;

/** Collects values and faults of one request's parameters. */
class Reader {
  readonly #params: Params;
  readonly faults: FieldError[] = [];

  constructor(params: Params) {
    this.#params = params;
  }

  /** The checked value under the first of its names that was sent. */
  read<T>(names: string[], check: Check<T>): T | undefined {
    const sent = names.filter(
      (name) => this.#params[name] !== undefined && this.#params[name] !== null,
    );
    const field = sent[0];
    if (field === undefined) return undefined;
    const differs = sent.some(
      (name) => this.#params[name] !== this.#params[field],
    );
    const value = differs
      ? invalidParameter(field, `differs from "${sent[1]}"`)
      : check(this.#params[field], field);
    if (!isFault(value)) return value;
    this.faults.push(value);
    return undefined;
  }

  /** @throws ServiceError 409 InvalidArgument with every fault found */
  finish(): void {
    if (this.faults.length > 0) throw invalidArgument(this.faults);
  }
}

function isFault(value: unknown): value is FieldError {
  return (value as FieldError | null)?.code === 'InvalidParameter';
}

const uuid: Check<string> = (value, field) =>
  isUuid(value) ? value : invalidParameter(field, 'must be a UUID');

const address: Check<string> = (value, field) =>
  typeof value === 'string' && parseIpv4(value) !== null
    ? value
    : invalidParameter(field, 'must be an IPv4 address');

const text: Check<string> = (value, field) =>
  typeof value === 'string' && value.length <= MAX_TEXT
    ? value
    : invalidParameter(field, `must be text of at most ${MAX_TEXT} characters`);

const boolean: Check<boolean> = (value, field) => {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  return invalidParameter(field, 'must be true or false');
};

function integer(low: number, high: number): Check<number> {
  return (value, field) => {
    const digits = typeof value === 'string' && /^\d+$/.test(value);
    const number = digits ? Number(value) : value;
    const good =
      typeof number === 'number' &&
      Number.isInteger(number) &&
      number >= low &&
      number <= high;
    return good
      ? number
      : invalidParameter(field, `must be an integer from ${low} to ${high}`);
  };
}

const tags: Check<Tags> = (value, field) => {
  const entries =
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value)
      : null;
  const good = entries?.every(
    ([key, tag]) =>
      key !== '' &&
      key.length <= MAX_TAG_NAME &&
      (typeof tag === 'boolean' ||
        (typeof tag === 'number' && Number.isFinite(tag)) ||
        (typeof tag === 'string' && tag.length <= MAX_TEXT)),
  );
  return entries !== null && good && entries.length <= MAX_TAGS
    ? (value as Tags)
    : invalidParameter(
        field,
        `must be an object of at most ${MAX_TAGS} texts, numbers and booleans`,
      );
};

/** Drops keys whose value is undefined, for exact optional properties. */
function given<T extends object>(
  object: T,
): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]: NonNullable<T[K]> };
}

/**
 * Refuses a body that has no parameters in it by its very kind; without one it
 * would silently count for "nothing asked".
 * @param body as parsed; undefined when there was none
 * @throws ServiceError 409 InvalidArgument
 */
export function requireObject(body: unknown): void {
  if (body === undefined) return;
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return;
  throw invalidArgument([
    invalidParameter('parameters', 'must be one JSON object'),
  ]);
}

/**
 * Reads the parameters of CreateAIP or UpdateAIP.
 * @throws ServiceError 409 InvalidArgument
 */
export function readAipInput(params: Params, withRemap: boolean): AipInput {
  const reader = new Reader(params);
  const input = {
    instance: reader.read(['instance'], uuid),
    private_ip: reader.read(['private_ip', 'private-ip'], address),
    description: reader.read(['description'], text),
    tags: reader.read(['tags'], tags),
    remap: withRemap ? reader.read(['remap'], boolean) : undefined,
  };
  reader.finish();
  return given(input);
}

/**
 * Reads limit, offset and marker of ListAIPs.
 * @throws ServiceError 409 InvalidArgument
 */
export function readListInput(params: Params): ListInput {
  const reader = new Reader(params);
  const limit = reader.read(['limit'], integer(1, 1000));
  const offset = reader.read(['offset'], integer(0, MAX_OFFSET));
  const marker = reader.read(['marker'], uuid);
  reader.finish();
  return {
    limit: limit ?? 1000,
    offset: offset ?? 0,
    ...(marker === undefined ? {} : { marker }),
  };
}

/**
 * Reads one flag that is false when absent.
 * @throws ServiceError 409 InvalidArgument
 */
export function readFlag(params: Params, names: string[]): boolean {
  const reader = new Reader(params);
  const value = reader.read(names, boolean);
  reader.finish();
  return value ?? false;
}
