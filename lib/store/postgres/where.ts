// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A filter as SQL. A condition is `exact` when it is true for the matching
 * objects and no others; otherwise it is true for those and some more, and
 * whoever reads the objects checks them with `compileFilter`. Conditions are
 * never NULL, so that NOT is the negation. Pure.
 */

import { type Bucket, indexOn } from '../bucket.js';
import type { Extended } from '../extended.js';
import type { Filter } from '../filter.js';
import { ABOVE, bounded, TEXT_LIMIT } from '../keys.js';
import { extendedMatch, filterText, isInternal } from '../match.js';
import { encodeScalar, isArrayType } from '../scalar.js';
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
      return extendedWhere(column, extendedMatch(bucket, filter), params);
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

/** Where the index says that matches can be; what is there is checked later. */
function extendedWhere(
  column: string,
  { equal, between }: Extended,
  params: Parameters,
): Where {
  const either: string[] = [];
  if (equal.length > 0) {
    either.push(`${column} = ANY(${params.add(equal)}::text[])`);
  }
  if (between !== null) {
    const { low, high } = between;
    const bounds = [
      ...(low === null ? [] : [`${column} >= ${params.add(low)}`]),
      ...(high === null ? [] : [`${column} <= ${params.add(high)}`]),
    ];
    either.push(bounds.length === 0 ? 'TRUE' : `(${bounds.join(' AND ')})`);
  }
  const sql = `(${column} IS NOT NULL AND (${either.join(' OR ')}))`;
  return { sql, exact: false };
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
