// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Finding objects. What PostgreSQL can answer exactly it sorts, counts and
 * cuts; otherwise the candidates come here and are checked as the embedded
 * engine does it.
 */

import { type Bucket, indexOn, type NumberedIndex } from '../bucket.js';
import { parseFilter } from '../filter.js';
import { decodeText } from '../keys.js';
import { compileFilter, isInternal } from '../match.js';
import { planFilter, requireIndexes } from '../plan.js';
import { cut, DEFAULT_LIMIT, sortOrder } from '../query.js';
import { isArrayType } from '../scalar.js';
import type { FindOptions, FindResult, StoredObject } from '../types.js';
import { type Link, quoted, type Rows } from './connection.js';
import {
  beginning,
  columnName,
  isLong,
  objectOf,
  SELECTED,
  tableOf,
} from './tables.js';
import { parameters, type Where, whereOf } from './where.js';

export type Found = FindResult<Record<string, unknown>>;

/**
 * Finds objects in one snapshot.
 * @throws StoreError InvalidQueryError, NotIndexedError
 */
export async function find(
  link: Link,
  schema: string,
  bucket: Bucket,
  text: string,
  options: FindOptions = {},
): Promise<Found> {
  const filter = parseFilter(text);
  const matches = compileFilter(bucket, filter);
  planFilter(bucket, filter);
  if (options.requireIndexes === true) requireIndexes(bucket, filter);
  const order = sortOrder(bucket, options.sort);
  const params = parameters();
  const { values } = params;
  const where = whereOf(bucket, filter, params);
  const columns = orderColumns(bucket, options);
  if (where.exact && columns !== null) {
    return findExact(link, schema, bucket, where, columns, values, options);
  }
  const table = tableOf(schema, bucket.name);
  const { rows } = await link.query(
    `SELECT ${SELECTED} FROM ${table} WHERE ${where.sql}`,
    values,
  );
  const objects = objectsOf(bucket, rows).filter(matches).sort(order);
  const page = cut(objects, options);
  const count = options.noCount === true ? page.length : objects.length;
  return { objects: page, count };
}

function objectsOf(bucket: Bucket, rows: Rows): StoredObject[] {
  return rows.map((row) =>
    objectOf(bucket.name, decodeText(row['_key'] as string), row),
  );
}

async function findExact(
  link: Link,
  schema: string,
  bucket: Bucket,
  where: Where,
  columns: string[],
  values: unknown[],
  options: FindOptions,
): Promise<Found> {
  const from = `FROM ${tableOf(schema, bucket.name)} WHERE ${where.sql}`;
  const counted = `(SELECT count(*) ${from})::float8`;
  const offset = options.offset ?? 0;
  const limit =
    options.noLimit === true ? null : (options.limit ?? DEFAULT_LIMIT);
  const own = options.noCount === true ? '0::float8' : counted;
  const { rows } = await link.query(
    `SELECT ${SELECTED}, ${own} AS _count ${from}
     ORDER BY ${columns.join(', ')}
     LIMIT ${limit === null ? 'ALL' : Math.max(0, limit)}
     OFFSET ${Math.max(0, offset)}`,
    values,
  );
  const objects = objectsOf(bucket, rows);
  const first = rows[0];
  if (options.noCount === true) return { objects, count: objects.length };
  if (first !== undefined) return { objects, count: Number(first['_count']) };
  if (offset === 0 && limit !== 0) return { objects, count: 0 };
  const { rows: alone } = await link.query(
    `SELECT ${counted} AS _count`,
    values,
  );
  return { objects, count: Number(alone[0]?.['_count']) };
}

/** What to order by, or null when an index is still being rebuilt. */
function orderColumns(bucket: Bucket, options: FindOptions): string[] | null {
  const columns: string[] = [];
  for (const { attribute, order } of [options.sort ?? []].flat()) {
    const way = order === 'DESC' ? ' DESC' : '';
    if (isInternal(attribute)) {
      if (attribute !== '_txn_snap') columns.push(attribute + way);
      continue;
    }
    if (bucket.reindex?.fields.includes(attribute)) return null;
    const spec = indexOn(bucket, attribute) as NumberedIndex;
    const column = quoted(columnName(bucket, attribute, spec));
    const list = isArrayType(spec.type);
    if (isLong(spec)) columns.push(beginning(column) + way);
    columns.push((list ? `${column}[1]` : column) + way);
  }
  return [...columns, '_id'];
}
