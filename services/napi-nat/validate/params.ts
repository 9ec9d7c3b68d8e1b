// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Request parameters against a list of checks, in restify-warden's manner
 * (facts: triton-napi 1.2): every field is looked at before any fault is
 * reported, faults are sorted by field, what is not asked for is dropped, or
 * refused where the list of parameters is strict. Pure.
 */

import {
  type FieldError,
  invalidParameter,
  missingParameter,
  ServiceError,
} from '#lib/errors.js';

/** What is wrong with a value; `read` adds the field's name. */
export class Fault {
  readonly message: string;
  readonly extra: Record<string, unknown>;

  constructor(message: string, extra: Record<string, unknown> = {}) {
    this.message = message;
    this.extra = extra;
  }
}

/** Reads one value. */
export type Check<T> = (value: unknown) => T | Fault;
type Checks = Record<string, Check<unknown>>;
export type Values<C extends Checks> = {
  [K in keyof C]: Exclude<ReturnType<C[K]>, Fault>;
};

export interface Spec<R extends Checks, O extends Checks> {
  required?: R;
  optional?: O;
  /** Refuses parameters that neither list names. */
  strict?: boolean;
}

/** The values, valid only when `errors` is empty. */
export interface Read<R extends Checks, O extends Checks> {
  input: Values<R> & Partial<Values<O>>;
  errors: FieldError[];
}

/**
 * @param params route, query and body, merged
 * @returns what was asked for and every fault found
 */
export function read<
  R extends Checks = Record<never, never>,
  O extends Checks = Record<never, never>,
>(params: Record<string, unknown>, spec: Spec<R, O>): Read<R, O> {
  const input: Record<string, unknown> = {};
  const errors: FieldError[] = [];
  const required: Checks = spec.required ?? {};
  const optional: Checks = spec.optional ?? {};
  for (const [field, check] of Object.entries({ ...optional, ...required })) {
    const raw = params[field];
    if (raw === undefined || (field in required && isEmpty(raw))) {
      if (field in required) errors.push(missingParameter(field));
      continue;
    }
    const value = check(raw);
    if (value instanceof Fault) {
      errors.push(invalidParameter(field, value.message, value.extra));
    } else if (value !== undefined) {
      input[field] = value;
    }
  }
  if (spec.strict === true) errors.push(...strangers(params, spec));
  return { input: input as Read<R, O>['input'], errors };
}

/**
 * A body of JSON is an object: one that is not would silently stand for "no
 * parameters", and a change would seem to have been made.
 * @param body parsed; undefined and null are none
 * @throws ServiceError 422
 */
export function refuseNonObject(body: unknown): void {
  const isNone = body === undefined || body === null;
  if (isNone || (typeof body === 'object' && !Array.isArray(body))) return;
  throw invalid([invalidParameter('parameters', 'Parameters must be objects')]);
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '';
}

function strangers<R extends Checks, O extends Checks>(
  params: Record<string, unknown>,
  spec: Spec<R, O>,
): FieldError[] {
  const known = { ...spec.required, ...spec.optional };
  const names = Object.keys(params).filter(
    (name) => !Object.hasOwn(known, name),
  );
  if (names.length === 0) return [];
  const message = `Unknown parameters: ${names.join(', ')}`;
  return [{ field: names, code: 'UnknownParameters', message }];
}

/** As `read`, where faults end the request. @throws ServiceError 422 */
export function readOrThrow<
  R extends Checks = Record<never, never>,
  O extends Checks = Record<never, never>,
>(
  params: Record<string, unknown>,
  spec: Spec<R, O>,
): Values<R> & Partial<Values<O>> {
  const { input, errors } = read(params, spec);
  refuse(errors);
  return input;
}

/** @throws ServiceError 422 when there is an error */
export function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(errors);
}

/** 422 InvalidParameters with its errors sorted by field. */
export function invalid(errors: FieldError[], message?: string): ServiceError {
  const sorted = [...errors].sort((a, b) => {
    const [one, other] = [String(a.field), String(b.field)];
    return one < other ? -1 : Number(one > other);
  });
  const missing = sorted.every(({ code }) => code === 'MissingParameter');
  return new ServiceError(422, {
    code: 'InvalidParameters',
    message: message ?? (missing ? 'Missing parameters' : 'Invalid parameters'),
    errors: sorted,
  });
}

/** A field that something else already has. */
export function duplicate(
  field: string,
  message = 'Already exists',
): FieldError {
  return { field, code: 'Duplicate', message };
}

/** A field whose value is in use, as a field error. */
export function usedBy(
  field: string,
  user: { type: string; id: string },
  message = `In use by ${user.type} "${user.id}"`,
): FieldError {
  return { field, ...user, code: 'UsedBy', message };
}
