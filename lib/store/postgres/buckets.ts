// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Making, changing and dropping buckets: configuration and table together. */

import {
  type Bucket,
  createBucket,
  deleteBucket,
  type Meta,
  requireBucket,
  saveBucket,
  updateBucket,
} from '../bucket.js';
import { bucketKey, decodeText, META, nextIdKey } from '../keys.js';
import type { BucketConfig } from '../types.js';
import { CATALOG } from './catalog.js';
import { type OwnLink, quoted } from './connection.js';
import {
  addColumns,
  createTable,
  dropColumns,
  objectOf,
  SELECTED,
  tableOf,
} from './tables.js';
import type { Work } from './work.js';

/** Counters and configurations, read beforehand, as `bucket.ts` wants them. */
interface OpenMeta extends Meta {
  readonly removed: string[];
}

async function openMeta(
  link: OwnLink,
  schema: string,
  work: Work,
  keys: string[],
): Promise<OpenMeta> {
  const { rows } = await link.query(
    `SELECT key, value FROM ${quoted(schema)}._meta WHERE key = ANY($1)`,
    [[META.buckets, ...keys]],
  );
  const values = new Map(
    rows.map((row) => [row['key'] as string, row['value'] as string]),
  );
  const removed: string[] = [];
  return {
    now: work.now,
    removed,
    get: (key) => values.get(key),
    set(key, value) {
      values.set(key, value);
      // What is dropped here is dropped with its table or column.
      if (!key.startsWith('d/')) work.set(key, value);
    },
    remove(key) {
      values.delete(key);
      removed.push(key);
    },
  };
}

function changed(work: Work): void {
  work.set(CATALOG, String(Number(work.get(CATALOG) ?? '0') + 1));
}

/** @throws StoreError BucketConflictError and what is wrong with the config */
export async function create(
  work: Work,
  link: OwnLink,
  schema: string,
  name: string,
  config: BucketConfig,
): Promise<void> {
  const meta = await openMeta(link, schema, work, [bucketKey(name)]);
  createBucket(meta, name, config);
  await link.query(createTable(schema, requireBucket(meta, name)));
  changed(work);
}

/** @throws StoreError BucketVersionError unless the version is newer */
export async function update(
  work: Work,
  link: OwnLink,
  schema: string,
  name: string,
  config: BucketConfig,
): Promise<void> {
  const first = await openMeta(link, schema, work, [bucketKey(name)]);
  const old = requireBucket(first, name);
  const next = nextIdKey(old.id);
  const meta = await openMeta(link, schema, work, [bucketKey(name), next]);
  const { rows } = await link.query(
    `SELECT count(*)::float8 AS n FROM ${tableOf(schema, name)}`,
  );
  updateBucket(meta, name, config, Number(rows[0]?.['n']));
  const bucket = requireBucket(meta, name);
  const differs = (a: Bucket, b: Bucket) =>
    Object.keys(a.index).filter(
      (field) => a.index[field]?.number !== b.index[field]?.number,
    );
  const statements =
    dropColumns(schema, old, differs(old, bucket)) +
    addColumns(schema, bucket, differs(bucket, old));
  if (statements !== '') await link.query(statements);
  changed(work);
}

/** Creates or updates; nothing when the versions are equal. */
export async function put(
  work: Work,
  link: OwnLink,
  schema: string,
  name: string,
  config: BucketConfig,
): Promise<void> {
  const meta = await openMeta(link, schema, work, [bucketKey(name)]);
  if (meta.get(bucketKey(name)) === undefined) {
    return create(work, link, schema, name, config);
  }
  const same = requireBucket(meta, name).version;
  if (same === (config.options?.version ?? 0)) return;
  await update(work, link, schema, name, config);
}

/** @throws StoreError BucketNotFoundError */
export async function drop(
  work: Work,
  link: OwnLink,
  schema: string,
  name: string,
): Promise<void> {
  const meta = await openMeta(link, schema, work, [bucketKey(name)]);
  deleteBucket(meta, name);
  await link.query(`DROP TABLE ${tableOf(schema, name)}`);
  await link.query(`DELETE FROM ${quoted(schema)}._meta WHERE key = ANY($1)`, [
    meta.removed,
  ]);
  changed(work);
}

/** As the embedded engine's `reindexObjects`. */
export async function reindex(
  work: Work,
  link: OwnLink,
  schema: string,
  name: string,
  count: number,
): Promise<{ processed: number; remaining: number }> {
  const meta = await openMeta(link, schema, work, [bucketKey(name)]);
  const bucket = requireBucket(meta, name);
  const waiting = bucket.reindex;
  if (waiting === null) return { processed: 0, remaining: 0 };
  const limit = Math.max(1, count);
  const { rows } = await link.query(
    `SELECT ${SELECTED} FROM ${tableOf(schema, name)}
     WHERE _id >= $1 AND _id < $2 ORDER BY _id LIMIT $3`,
    [waiting.next, waiting.end, limit],
  );
  const objects = rows.map((row) =>
    objectOf(name, decodeText(row['_key'] as string), row),
  );
  await work.rebuild(name, objects);
  const last = objects.at(-1);
  const done = last === undefined || objects.length < limit;
  bucket.reindex = done
    ? null
    : {
        ...waiting,
        next: last._id + 1,
        remaining: Math.max(0, waiting.remaining - objects.length),
      };
  saveBucket(meta, bucket);
  changed(work);
  return {
    processed: objects.length,
    remaining: bucket.reindex?.remaining ?? 0,
  };
}
