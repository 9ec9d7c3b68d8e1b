// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Bucket configurations, remembered. The number in `m/catalog` changes with
 * every change of one, and its notice empties the memory; who acted on an old
 * one meanwhile looks again.
 */

import { type Bucket, requireBucket } from '../bucket.js';
import { bucketKey } from '../keys.js';
import { isStoreError } from '../types.js';
import { type Link, quoted, stateOf } from './connection.js';

/** Counts changes of configurations. */
export const CATALOG = 'm/catalog';

export interface Catalog {
  /**
   * The bucket of a name.
   * @throws StoreError BucketNotFoundError
   */
  bucket(link: Link, name: string): Promise<Bucket>;
  /** Does `work`, again when the configuration was an old one. */
  with<T>(
    link: Link,
    name: string,
    work: (bucket: Bucket) => Promise<T>,
  ): Promise<T>;
  /** Forgets everything unless `number` is the one known. */
  seen(number: string): void;
}

/** Undefined table, column. */
const STALE = ['42P01', '42703'];

function mayBeStale(error: unknown): boolean {
  return (
    STALE.includes(stateOf(error) ?? '') ||
    isStoreError(error, 'NotIndexedError') ||
    isStoreError(error, 'InvalidQueryError')
  );
}

/** @returns a memory with nothing in it */
export function createCatalog(schema: string): Catalog {
  const known = new Map<string, string>();
  let current = '';

  async function load(link: Link, name: string): Promise<string | undefined> {
    const { rows } = await link.query(
      `SELECT value FROM ${quoted(schema)}._meta WHERE key = $1`,
      [bucketKey(name)],
    );
    const text = rows[0]?.['value'] as string | undefined;
    if (text === undefined) known.delete(name);
    else known.set(name, text);
    return text;
  }

  async function bucket(link: Link, name: string): Promise<Bucket> {
    const text = known.get(name) ?? (await load(link, name));
    return requireBucket({ get: () => text }, name);
  }

  return {
    bucket,
    async with(link, name, work) {
      const before = known.get(name);
      try {
        return await work(await bucket(link, name));
      } catch (error) {
        if (before === undefined || !mayBeStale(error)) throw error;
        if ((await load(link, name)) === before) throw error;
        return work(await bucket(link, name));
      }
    },
    seen(number) {
      if (number !== current) known.clear();
      current = number;
    },
  };
}
