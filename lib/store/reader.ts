// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Reading keys: from the database as of one moment (`snapshotReader`), or from
 * a transaction's own writes over that (`overlay`). Queries are written against
 * `Reader` and do not know which.
 */

import type { KeyRange } from './keys.js';

/** Some of a range's entries, in order. */
export interface Page {
  entries: [key: string, value: string][];
  /** Where to go on reading, or null at the end. */
  next: string | null;
}

export interface Reader {
  /** One small value, read at once: configuration, an object, an index key. */
  get(key: string): string | undefined;
  getMany(keys: string[]): Promise<(string | undefined)[]>;
  /** At most `limit` entries of the database; see `next` for the rest. */
  page(range: KeyRange, limit: number): Promise<Page>;
}

/** What was read, for tests that a find does not scan. */
export interface ReadStatistics {
  /** Entries that ranges gave. */
  entries: number;
  /** Objects fetched by key. */
  objects: number;
}

/** Keys to set, or with null to remove. */
export type Writes = Map<string, string | null>;

/** All entries of a range; for ranges known to be small. */
export async function readAll(
  reader: Reader,
  range: KeyRange,
): Promise<[string, string][]> {
  const all: [string, string][] = [];
  for await (const entries of pages(reader, range, 1000)) all.push(...entries);
  return all;
}

/** A range's entries, some at a time. */
export async function* pages(
  reader: Reader,
  range: KeyRange,
  limit: number,
): AsyncGenerator<[string, string][]> {
  let low: string | null = range.low;
  while (low !== null) {
    const page: Page = await reader.page({ low, high: range.high }, limit);
    if (page.entries.length > 0) yield page.entries;
    low = page.next;
  }
}

/** Reads `base` as it will be after `layers`, the last of which wins. */
export function overlay(base: Reader, layers: Writes[]): Reader {
  const newestFirst = [...layers].reverse();
  function written(key: string): string | null | undefined {
    for (const layer of newestFirst) {
      const value = layer.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }
  function get(key: string): string | undefined {
    const value = written(key);
    return value === undefined ? base.get(key) : (value ?? undefined);
  }
  return {
    get,
    getMany: async (keys) => keys.map(get),
    async page(range, limit) {
      const page = await base.page(range, limit);
      const merged = new Map(page.entries);
      const high = page.next ?? range.high;
      for (const layer of layers) {
        for (const [key, value] of layer) {
          if (key < range.low || key >= high) continue;
          if (value === null) merged.delete(key);
          else merged.set(key, value);
        }
      }
      const entries = [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
      return { entries, next: page.next };
    },
  };
}
