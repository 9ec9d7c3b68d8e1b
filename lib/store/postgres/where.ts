// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A filter as SQL. A condition is `exact` when it is true for the matching
 * objects and no others; otherwise it is true for those and some more, and
 * whoever reads the objects checks them with `compileFilter`. Conditions are
 * never NULL, so that NOT is the negation. Pure.
 */

import { encodePrefix, lastOf, truncate, width } from '../address.js';
import { type Bucket, indexOn } from '../bucket.js';
import type { Filter } from '../filter.js';
import { ABOVE, bounded, TEXT_LIMIT } from '../keys.js';
import { extendedPrefix, filterText, isInternal } from '../match.js';
import { elementType, encodeScalar, isArrayType } from '../scalar.js';
import { quoted } from './connection.js';
import { beginning, columnName, isLong } from './tables.js';

export interface Where {
  sql: string;
  exact: boolean;
}

/** The values of one statement, and how one more is named. */
export interface Parameters {
  values: unknown[];
  add(value: unknown): string;
}

type FieldFilter = Exclude<Filter, { kind: 'and' | 'or' | 'not' }>;

const EVERYTHING: Where = { sql: 'TRUE', exact: false };

/** No values yet. */
export function parameters(): Parameters {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/**
 * @param bucket as it is configured now
 * @param filter one that `compileFilter` accepts
 */
export function whereOf(
  bucket: Bucket,
  filter: Filter,
  params: Parameters,
): Where {
  switch (filter.kind) {
    case 'and':
    case 'or': {
      const terms = filter.terms.map((term) => whereOf(bucket, term, params));
      const word = filter.kind === 'and' ? ' AND ' : ' OR ';
      return {
        sql: `(${terms.map(({ sql }) => sql).join(word)})`,
        exact: terms.every(({ exact }) => exact),
      };
    }
    case 'not': {
      const before = params.values.length;
      const { sql, exact } = whereOf(bucket, filter.term, params);
      if (exact) return { sql: `(NOT ${sql})`, exact };
      params.values.length = before;
      return EVERYTHING;
    }
    default:
      return fieldWhere(bucket, filter, params);
  }
}

function fieldWhere(
  bucket: Bucket,
  filter: FieldFilter,
  params: Parameters,
): Where {
  const { field } = filter;
  if (isInternal(field)) return internalWhere(filter, params);
  const spec = indexOn(bucket, field);
  const waiting = bucket.reindex?.fields.includes(field) ?? false;
  if (spec === undefined || waiting) return EVERYTHING;
  const column = quoted(columnName(bucket, field, spec));
  const set = `${column} IS NOT NULL`;
  switch (filter.kind) {
    case 'present':
      return { sql: `(${set})`, exact: true };
    case 'substring':
      return startWhere(column, filter.parts[0] ?? '', params);
    case 'ext': {
      if (filter.rule.startsWith('caseIgnore') || isArrayType(spec.type)) {
        return { sql: `(${set})`, exact: false };
      }
      const subnets = elementType(spec.type) === 'subnet';
      return addressWhere(bucket, column, filter, subnets, params);
    }
    default: {
      const text = filterText(bucket, field, filter.value);
      if (isArrayType(spec.type)) {
        if (filter.kind !== 'eq') return { sql: `(${set})`, exact: false };
        const one = `ARRAY[${params.add(bounded(text))}]::text[]`;
        return { sql: `(${set} AND ${column} @> ${one})`, exact: true };
      }
      const sign = { eq: '=', ge: '>=', le: '<=' }[filter.kind];
      const first = isLong(spec)
        ? `${beginning(column)} ${sign} ${params.add(text.slice(0, TEXT_LIMIT))} AND `
        : '';
      const sql = `(${set} AND ${first}${column} ${sign} ${params.add(text)})`;
      return { sql, exact: true };
    }
  }
}

/** Texts that start so; the parts after that are checked later. */
function startWhere(column: string, start: string, params: Parameters): Where {
  const text = (encodeScalar('string', start) ?? '').slice(0, TEXT_LIMIT);
  if (text === '') return { sql: `(${column} IS NOT NULL)`, exact: false };
  const from = `${beginning(column)} >= ${params.add(text)}`;
  const to = `${beginning(column)} < ${params.add(text + ABOVE)}`;
  const sql = `(${column} IS NOT NULL AND ${from} AND ${to})`;
  return { sql, exact: false };
}

/** What is inside of a prefix lies in one range; what contains it is known. */
function addressWhere(
  bucket: Bucket,
  column: string,
  filter: { field: string; rule: string; value: string },
  subnets: boolean,
  params: Parameters,
): Where {
  const wanted = extendedPrefix(bucket, filter.field, filter.value);
  const last = lastOf(wanted) + (subnets ? 'ff' : '');
  const within = () =>
    `${column} BETWEEN ${params.add(wanted.base)} AND ${params.add(last)}`;
  if (filter.rule === 'within' || !subnets) {
    return { sql: `(${column} IS NOT NULL AND ${within()})`, exact: false };
  }
  const limit = Math.min(wanted.bits, width(wanted.base));
  const above = Array.from({ length: limit + 1 }, (_, bits) =>
    encodePrefix(truncate(wanted.base, bits)),
  );
  const contains = `${column} = ANY(${params.add(above)}::text[])`;
  const either =
    filter.rule === 'overlaps' ? `(${contains} OR ${within()})` : contains;
  return { sql: `(${column} IS NOT NULL AND ${either})`, exact: false };
}

function internalWhere(filter: FieldFilter, params: Parameters): Where {
  const { field, kind } = filter;
  if (field === '_txn_snap') return { sql: 'FALSE', exact: true };
  if (kind === 'present') return { sql: 'TRUE', exact: true };
  if (kind !== 'eq' && kind !== 'ge' && kind !== 'le') return EVERYTHING;
  const sign = { eq: '=', ge: '>=', le: '<=' }[kind];
  const text = encodeScalar('string', filter.value) as string;
  if (field === '_key' || field === '_etag') {
    return { sql: `(${field} ${sign} ${params.add(text)})`, exact: true };
  }
  const number = Number(filter.value);
  const type = Number.isSafeInteger(number) ? 'bigint' : 'float8';
  const sql = `(${field} ${sign} ${params.add(number)}::${type})`;
  return { sql, exact: true };
}
