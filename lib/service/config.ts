// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Configuration files: JSON, checked against a schema, unknown keys refused.
 * What is wrong is said in lines an operator can act on: the file, the path
 * inside it, what is wrong there; the process then ends with status 2.
 */

import { readFileSync } from 'node:fs';
import { type FieldError, UsageError } from '#lib/errors.js';
import { compile, type Schema } from '#lib/schema/validate.js';

/**
 * Reads and checks a file.
 * @param file path of a JSON file
 * @param schema for the whole of it; objects in it that do not say
 *   `additionalProperties` refuse what they do not name; a `default` stands for
 *   what the file does not say
 * @param rename gives the content the names that the schema knows
 * @returns the frozen content
 * @throws UsageError `file: /path/inside: what is wrong`
 */
export function loadConfig<T>(
  file: string,
  schema: Schema,
  rename?: (content: unknown) => unknown,
): T {
  return parseConfig<T>(file, readText(file), schema, rename);
}

/** As `loadConfig`, for text that was read elsewhere; `file` names it. */
export function parseConfig<T>(
  file: string,
  text: string,
  schema: Schema,
  rename: (content: unknown) => unknown = (content) => content,
): T {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file}: is not JSON: ${(error as Error).message}`);
  }
  const checked = compile<T>(closed(schema) as Schema, true)(rename(content));
  if ('errors' in checked) {
    throw new UsageError(
      checked.errors
        .flatMap(complaints)
        .sort()
        .map((complaint) => `${file}: ${complaint}`)
        .join('\n'),
    );
  }
  return freeze(checked.value);
}

/** Why a file cannot be read, by Node's error code. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = UNREADABLE[code ?? ''] ?? (error as Error).message;
    throw new UsageError(`${file}: cannot be read: ${why}`);
  }
}

function complaints(error: FieldError): string[] {
  const why =
    error.code === 'MissingParameter'
      ? 'is required'
      : error.code === 'UnknownParameters'
        ? 'is not a known key'
        : error.message;
  return [error.field].flat().map((field) => `${asPath(field)}: ${why}`);
}

/** `a.b[0]` as `/a/b/0`. */
function asPath(field: string): string {
  if (field === 'parameters') return '/';
  return `/${field.replace(/\[(\d+)\]/g, '.$1').replaceAll('.', '/')}`;
}

/** The schema with every object refusing keys that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      ['enum', 'const', 'default'].includes(key) ? value : closed(value),
    ]),
  );
  const isObjectSchema =
    'properties' in copy && typeof copy['properties'] === 'object';
  if (isObjectSchema && !('additionalProperties' in copy)) {
    copy['additionalProperties'] = false;
  }
  return copy;
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) freeze(item);
    Object.freeze(value);
  }
  return value;
}
