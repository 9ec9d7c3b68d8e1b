// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The lowest addresses that no object has (facts: triton-napi 8, step 1),
 * found by walking an `ip` index from where the search begins. A subnet fills
 * from below and its records are kept, so each search remembers how far all
 * was taken; removing an entry of the index forgets that.
 */

import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { encodeAddress } from './address.js';
import { type Bucket, indexOn, type NumberedIndex } from './bucket.js';
import { betweenRange, indexPrefix, indexPrefixOf } from './keys.js';
import type { Page, Reader, Writes } from './reader.js';
import { type Gap, StoreError } from './types.js';

/** Longest run that is told. */
export const GAP_LIMIT = 50;
/** Searches remembered at most. */
const HINT_LIMIT = 10_000;

/** How far earlier searches found every address taken. */
export interface GapHints {
  /** Changes with every removal from the index; take it before reading. */
  generation(prefix: string): number;
  /** The first address worth trying after `from`. */
  free(prefix: string, from: number): number;
  /** Notes that all between `from` and `free` were taken then. */
  note(prefix: string, from: number, free: number, generation: number): void;
  /** Looks at a durable write for removals. */
  committed(writes: Writes): void;
}

/** Hints for one store, empty at first. */
export function createGapHints(): GapHints {
  const known = new Map<string, { generation: number; free: number }>();
  const removals = new Map<string, number>();
  const generation = (prefix: string) => removals.get(prefix) ?? 0;
  return {
    generation,
    free(prefix, from) {
      const hint = known.get(`${prefix}/${from}`);
      return hint?.generation === generation(prefix) ? hint.free : from + 1;
    },
    note(prefix, from, free, at) {
      if (at !== generation(prefix)) return;
      if (known.size >= HINT_LIMIT) known.clear();
      known.set(`${prefix}/${from}`, { generation: at, free });
    },
    committed(writes) {
      for (const [key, value] of writes) {
        if (value !== null || !key.startsWith('x')) continue;
        const prefix = indexPrefixOf(key);
        removals.set(prefix, generation(prefix) + 1);
      }
    },
  };
}

/**
 * @param hints of this store
 * @param from the search begins after this address, in host order
 * @param to and ends before this one
 * @throws StoreError NotIndexedError unless the field is an `ip` index
 */
export async function findGap(
  reader: Reader,
  hints: GapHints,
  bucket: Bucket,
  field: string,
  from: number,
  to: number,
): Promise<Gap | null> {
  const spec = requireIpIndex(bucket, field);
  const prefix = indexPrefix(bucket.id, spec.number);
  const generation = hints.generation(prefix);
  const begin = hints.free(prefix, from);
  const free = await firstFree(reader, prefix, begin, to);
  hints.note(prefix, from, free.start, generation);
  const length = Math.min(free.end, to) - free.start;
  return length > 0
    ? { start: free.start, length: Math.min(length, GAP_LIMIT) }
    : null;
}

/**
 * The index to search in.
 * @throws StoreError NotIndexedError unless the field is an `ip` index
 */
export function requireIpIndex(bucket: Bucket, field: string): NumberedIndex {
  const spec = indexOn(bucket, field);
  const waiting = bucket.reindex?.fields.includes(field) ?? false;
  if (spec?.type === 'ip' && !waiting) return spec;
  throw new StoreError(
    'NotIndexedError',
    `${bucket.name} has no ip index on "${field}"`,
    { bucket: bucket.name, field },
  );
}

/** The first stretch from `begin` on that no entry has. */
async function firstFree(
  reader: Reader,
  prefix: string,
  begin: number,
  to: number,
): Promise<{ start: number; end: number }> {
  let start = begin;
  if (start >= to) return { start, end: start };
  const range = betweenRange(prefix, order(start), order(to - 1));
  // Most searches end soon; the pages grow for those that do not.
  for (let low: string | null = range.low, size = 64; low !== null; ) {
    const page: Page = await reader.page({ low, high: range.high }, size);
    for (const [key] of page.entries) {
      const used = addressOf(key, prefix);
      if (used > start) return { start, end: used };
      start = used + 1;
    }
    low = page.next;
    size = 1024;
  }
  return { start, end: to };
}

function order(address: number): string {
  return encodeAddress(formatIpv4(ipv4(address))) as string;
}

/** The address in an index key: after the prefix, `1`, and the family. */
function addressOf(key: string, prefix: string): number {
  const at = prefix.length + 2;
  return Number.parseInt(key.slice(at, at + 8), 16);
}
