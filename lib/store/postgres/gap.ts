// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The lowest addresses that no object has, found in an index's order. As in
 * the embedded engine, a search remembers how far all was taken. Every process
 * has its own memory; a key in `_meta` that is new whenever an address goes
 * from an index of the bucket tells them that what they remember may be wrong.
 */

import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { encodeAddress } from '../address.js';
import type { Bucket } from '../bucket.js';
import { GAP_LIMIT, requireIpIndex } from '../gap.js';
import type { Gap } from '../types.js';
import { type Link, quoted } from './connection.js';
import { columnName, tableOf } from './tables.js';

/** Searches remembered at most. */
const MEMORY_LIMIT = 10_000;

/** All between a search's `from` and `free` was taken in this generation. */
interface Seen {
  generation: string | null;
  free: number;
}

/** How far earlier searches of this process found every address taken. */
export type GapMemory = Map<string, Seen>;

/** Where a store keeps the generation of a bucket's addresses. */
export function gapKey({ id }: Bucket): string {
  return `gap/${id}`;
}

/** As the embedded engine's. */
export async function findGap(
  link: Link,
  schema: string,
  memory: GapMemory,
  bucket: Bucket,
  field: string,
  from: number,
  to: number,
): Promise<Gap | null> {
  const column = columnName(bucket, field, requireIpIndex(bucket, field));
  if (from + 1 >= to) return null;
  const search = `${schema}/${column}/${from}`;
  const seen = memory.get(search);
  const table = { schema, bucket, column: quoted(column) };
  let found = await firstFree(link, table, seen?.free ?? from + 1, to);
  if (seen !== undefined && seen.generation !== found.generation) {
    found = await firstFree(link, table, from + 1, to);
  }
  if (memory.size >= MEMORY_LIMIT) memory.clear();
  memory.set(search, { generation: found.generation, free: found.start });
  const length = found.end - found.start;
  return length > 0
    ? { start: found.start, length: Math.min(length, GAP_LIMIT) }
    : null;
}

interface Table {
  schema: string;
  bucket: Bucket;
  column: string;
}

/** The first stretch from `begin` on that no entry has, in one snapshot. */
async function firstFree(
  link: Link,
  { schema, bucket, column }: Table,
  begin: number,
  to: number,
): Promise<{ start: number; end: number; generation: string | null }> {
  const number = `('x' || substr(${column}, 2))::bit(32)::bigint`;
  const range = `FROM ${tableOf(schema, bucket.name)}
    WHERE ${column} BETWEEN $1 AND $2`;
  // The first that is taken, and the first after which one is free.
  const { rows } = await link.query(
    `SELECT hole.n::float8 AS n, hole.next::float8 AS next,
       (SELECT ${number} ${range} ORDER BY ${column} LIMIT 1)::float8 AS first,
       (SELECT value FROM ${quoted(schema)}._meta WHERE key = $4) AS generation
     FROM (SELECT) AS one LEFT JOIN LATERAL (
       SELECT n, next FROM (
         SELECT ${column} AS ip, ${number} AS n,
           lead(${number}, 1, $3::bigint) OVER (ORDER BY ${column}) AS next
         ${range}
       ) AS pair WHERE next > n + 1 ORDER BY ip LIMIT 1
     ) AS hole ON true`,
    [order(begin), order(Math.max(begin, to - 1)), to, gapKey(bucket)],
  );
  const row = rows[0] ?? {};
  const generation = (row['generation'] as string | null) ?? null;
  const first = Number(row['first'] ?? to);
  if (begin >= to) return { start: to, end: to, generation };
  if (first > begin) return { start: begin, end: first, generation };
  if (typeof row['n'] !== 'number') return { start: to, end: to, generation };
  return { start: row['n'] + 1, end: Number(row['next']), generation };
}

function order(address: number): string {
  return encodeAddress(formatIpv4(ipv4(address))) as string;
}
