// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * JSON schemas at the edges: requests and configuration files (the only file
 * that imports ajv). What does not fit comes back as field errors in NAPI's
 * words, one for each field, sorted (facts: triton-napi 1.2).
 */

import { Ajv, type ErrorObject } from 'ajv';
import {
  type FieldError,
  invalidParameter,
  missingParameter,
} from '#lib/errors.js';

export type Checked<T> = { value: T } | { errors: FieldError[] };

/** A compiled schema. */
export type Validator<T> = (value: unknown) => Checked<T>;

/** A JSON schema, draft 7. */
export type Schema = Record<string, unknown>;

/**
 * @param schema compiled once; a field's `description` is used as the message
 *   where the value is invalid
 * @param fill whether what is absent and has a `default` is written into the
 *   value; else the value is never changed
 * @returns the validator
 * @throws Error when the schema itself is wrong
 */
export function compile<T>(schema: Schema, fill = false): Validator<T> {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: fill,
    verbose: true,
    allowUnionTypes: true,
    // ajv would write what it thinks of types to the console.
    strictTypes: false,
    strictTuples: false,
  });
  const check = ajv.compile<T>(schema);
  return (value) =>
    check(value)
      ? { value: value as T }
      : { errors: fieldErrors(check.errors ?? []) };
}

function fieldErrors(raw: ErrorObject[]): FieldError[] {
  const byField = new Map<string, FieldError>();
  const unknown = new Map<string, string[]>();
  for (const error of raw) {
    const at = fieldName(error.instancePath);
    if (error.keyword === 'additionalProperties') {
      const name = String(error.params['additionalProperty']);
      unknown.set(at, [...(unknown.get(at) ?? []), join(at, name)]);
      continue;
    }
    const found = toFieldError(error, at);
    if (!byField.has(String(found.field))) {
      byField.set(String(found.field), found);
    }
  }
  const strangers = [...unknown.values()].flat();
  const errors = [...byField.values()];
  if (strangers.length > 0) {
    errors.push({
      field: strangers,
      code: 'UnknownParameters',
      message: `Unknown parameters: ${strangers.join(', ')}`,
    });
  }
  return errors.sort((a, b) => (String(a.field) < String(b.field) ? -1 : 1));
}

function toFieldError(error: ErrorObject, at: string): FieldError {
  if (error.keyword === 'required') {
    return missingParameter(join(at, String(error.params['missingProperty'])));
  }
  const said = (error.parentSchema as { description?: unknown } | undefined)
    ?.description;
  const field = at === '' ? 'parameters' : at;
  if (typeof said === 'string') return invalidParameter(field, said);
  return invalidParameter(field, message(error));
}

function message(error: ErrorObject): string {
  const { keyword, params } = error;
  if (keyword === 'enum') {
    const allowed = (params['allowedValues'] as unknown[])
      .map((value) => JSON.stringify(value))
      .join(', ');
    return `must be one of: ${allowed}`;
  }
  if (keyword === 'const') {
    return `must be ${JSON.stringify(params['allowedValue'])}`;
  }
  return error.message ?? 'is invalid';
}

/** `/a/b/0` of a JSON pointer as people write it: `a.b[0]`. */
function fieldName(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((piece) => piece.replace(/~1/g, '/').replace(/~0/g, '~'))
    .reduce(join, '');
}

function join(at: string, piece: string): string {
  if (/^\d+$/.test(piece) && at !== '') return `${at}[${piece}]`;
  return at === '' ? piece : `${at}.${piece}`;
}
