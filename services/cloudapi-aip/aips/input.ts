// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Checks what a customer sent against the schemas of api/parameters.ts.
 * Parameters may come from a JSON body, a form or the query (then they are all
 * text), under RFD 158's names or CloudAPI's (facts: cloudapi 1.3). Every fault
 * is found before any is reported. Pure.
 */

import { type FieldError, invalidParameter } from '#lib/errors.js';
import type { AipState } from '#lib/model/aip.js';
import { compile, type Schema, type Validator } from '#lib/schema/validate.js';
import { operations } from '../api/operations.js';
import * as p from '../api/parameters.js';
import { invalidArgument } from './translate.js';

export type Tags = Record<string, string | number | boolean>;

/** What Create and Update take; absent means not given. */
export interface AipInput {
  instance?: string;
  private_ip?: string;
  description?: string;
  tags?: Tags;
  remap?: boolean;
  deletion_protection?: boolean;
}

export interface ListInput {
  limit: number;
  offset: number;
  marker?: string;
  ip?: string;
  instance?: string;
  state?: AipState;
  attached?: boolean;
  /** Values as text, by the tag's name. */
  tags: Record<string, string>;
}

const UUID = new RegExp(p.UUID_PATTERN);

/** Whether text is a UUID as every Triton API writes them. */
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text);
}

type Params = Record<string, unknown>;

/** Compiled once each, when the first request needs it. */
const validators = new Map<Schema, Validator<unknown>>();

function fits({ schema }: p.Parameter, value: unknown): boolean {
  let check = validators.get(schema);
  if (check === undefined) {
    check = compile(schema);
    validators.set(schema, check);
  }
  return 'value' in check(value);
}

/** A value of a query or form is text: what it means is the schema's. */
function meant({ schema }: p.Parameter, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const { type } = schema;
  if (type === 'boolean' && value === 'true') return true;
  if (type === 'boolean' && value === 'false') return false;
  if (type === 'integer' && /^\d+$/.test(value)) return Number(value);
  return type === 'array' ? value.split(',').map((each) => each.trim()) : value;
}

/** The value under the first of a parameter's names that was sent. */
function readOne(
  params: Params,
  parameter: p.Parameter,
): { value: unknown } | { fault: FieldError } | null {
  const sent = parameter.names.filter(
    (name) => params[name] !== undefined && params[name] !== null,
  );
  const [field] = sent;
  if (field === undefined) return null;
  if (sent.some((name) => params[name] !== params[field])) {
    return { fault: invalidParameter(field, `differs from "${sent[1]}"`) };
  }
  const value = meant(parameter, params[field]);
  return fits(parameter, value)
    ? { value }
    : { fault: invalidParameter(field, parameter.must) };
}

/**
 * Reads parameters.
 * @returns values under their first names; what was not sent is absent
 * @throws ServiceError 409 InvalidArgument with every fault found
 */
function read(params: Params, parameters: readonly p.Parameter[]): Params {
  const faults: FieldError[] = [];
  const values: Params = {};
  for (const parameter of parameters) {
    const found = readOne(params, parameter);
    if (found === null) continue;
    if ('fault' in found) faults.push(found.fault);
    else values[parameter.names[0]] = found.value;
  }
  if (faults.length > 0) throw invalidArgument(faults);
  return values;
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
 * Reads the parameters of a call that writes; role tags are apart.
 * @throws ServiceError 409 InvalidArgument
 */
export function readAipInput(
  call: 'CreateAIP' | 'UpdateAIP',
  params: Params,
): { input: AipInput; roleTags: string[] | undefined } {
  const { 'role-tag': roleTags, ...input } = read(
    params,
    operations[call].body,
  );
  return { input, roleTags: roleTags as string[] | undefined };
}

/**
 * Reads the role tags that a collection is to have.
 * @returns undefined when they were not sent
 * @throws ServiceError 409 InvalidArgument
 */
export function readRoleTags(params: Params): string[] | undefined {
  return read(params, [p.roleTag])['role-tag'] as string[] | undefined;
}

/**
 * Reads paging and filters of ListAIPs.
 * @throws ServiceError 409 InvalidArgument
 */
export function readListInput(params: Params): ListInput {
  const named = Object.keys(params).filter((name) => /^tag\../.test(name));
  const byName = named.map(
    (name): p.Parameter => ({ ...p.tagFilter, names: [name] }),
  );
  const values = read(params, [...operations.ListAIPs.query, ...byName]);
  const tags = Object.fromEntries(
    named
      .filter((name) => name in values)
      .map((name) => [name.slice('tag.'.length), values[name] as string]),
  );
  const rest = Object.fromEntries(
    Object.entries(values).filter(([name]) => !named.includes(name)),
  );
  return { limit: 1000, offset: 0, ...rest, tags } as ListInput;
}

/**
 * Reads what GetAIP is to wait for.
 * @throws ServiceError 409 InvalidArgument
 */
export function readWait(params: Params): {
  wait?: AipState;
  timeout?: number;
} {
  return read(params, operations.GetAIP.query);
}

/** Reads `really_delete`. @throws ServiceError 409 InvalidArgument */
export function readReally(params: Params): boolean {
  return read(params, operations.DeleteAIP.query)['really_delete'] === true;
}

/** Checks `detach`. @throws ServiceError 409 InvalidArgument */
export function requireDetach(params: Params): void {
  if (read(params, operations.DetachAIP.query)['detach'] === true) return;
  throw invalidArgument([invalidParameter('detach', p.detach.must)]);
}
