// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The lowest addresses that no object has, found in an index's order. */

import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { encodeAddress } from '../address.js';
import type { Bucket } from '../bucket.js';
import { GAP_LIMIT, requireIpIndex } from '../gap.js';
import type { Gap } from '../types.js';
import { type Link, quoted } from './connection.js';
import { columnName, tableOf } from './tables.js';

/** As the embedded engine's. */
export async function findGap(
  link: Link,
  schema: string,
  bucket: Bucket,
  field: string,
  from: number,
  to: number,
): Promise<Gap | null> {
  const spec = requireIpIndex(bucket, field);
  if (from + 1 >= to) return null;
  const column = quoted(columnName(bucket, field, spec));
  const table = tableOf(schema, bucket.name);
  // The first taken address after which one is free, and the next taken one.
  const { rows } = await link.query(
    `WITH taken AS (
       SELECT ${column} AS ip FROM ${table}
       WHERE ${column} BETWEEN $1 AND $2
       UNION ALL SELECT $1::text COLLATE "C"
     ), number AS (
       SELECT DISTINCT ('x' || substr(ip, 2))::bit(32)::bigint AS n FROM taken
     ), pair AS (
       SELECT n, lead(n) OVER (ORDER BY n) AS next FROM number
     )
     SELECT n::float8 AS n, next::float8 AS next FROM pair
     WHERE next IS NULL OR next > n + 1 ORDER BY n LIMIT 1`,
    [order(from), order(to - 1)],
  );
  const start = Number(rows[0]?.['n']) + 1;
  const end = Math.min(Number(rows[0]?.['next'] ?? to), to);
  const length = end - start;
  return length > 0 ? { start, length: Math.min(length, GAP_LIMIT) } : null;
}

function order(address: number): string {
  return encodeAddress(formatIpv4(ipv4(address))) as string;
}
