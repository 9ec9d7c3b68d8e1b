// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The store's operations over database, writer and journal. */

import { prepareBatch, preparePut } from './batch.js';
import {
  createBucket,
  deleteBucket,
  describe,
  requireBucket,
  updateBucket,
} from './bucket.js';
import type { Database } from './database.js';
import { findGap, type GapHints } from './gap.js';
import { bucketKey, idRange, prefixRange } from './keys.js';
import {
  deleteMany,
  objectNotFound,
  reindexObjects,
  restoreImage,
  targetOf,
  updateObjects,
} from './mutate.js';
import { find } from './query.js';
import { pages, type Reader, readAll } from './reader.js';
import { fetchRecord } from './record.js';
import type { Transaction } from './transaction.js';
import { type BucketTriggers, withTriggers } from './trigger.js';
import type {
  BucketConfig,
  FindResult,
  Journal,
  Store,
  StoredObject,
} from './types.js';
import type { Writer } from './writer.js';

type BucketOperations = Pick<
  Store,
  | 'createBucket'
  | 'getBucket'
  | 'updateBucket'
  | 'putBucket'
  | 'deleteBucket'
  | 'listBuckets'
  | 'reindexObjects'
>;
type ObjectOperations = Pick<
  Store,
  | 'getObject'
  | 'putObject'
  | 'delObject'
  | 'findObjects'
  | 'updateObjects'
  | 'deleteMany'
  | 'batch'
  | 'findGap'
  | 'restore'
>;

/**
 * @param clear removes what dropping a bucket or an index left behind
 * @returns the store without `close`, which belongs to whoever opened it
 */
export function createStore(
  database: Database,
  writer: Writer,
  hints: GapHints,
  journal: Journal,
  triggers: BucketTriggers,
  clear: () => Promise<void>,
): Omit<Store, 'close'> {
  return {
    ...bucketOperations(database, writer, clear),
    ...objectOperations(database, writer, hints, triggers),
    // Nobody else has it open.
    tell: () => {},
    onTold: () => () => {},
    journal,
    shared: false,
  };
}

function bucketOperations(
  database: Database,
  writer: Writer,
  clear: () => Promise<void>,
): BucketOperations {
  return {
    createBucket: (name, config) =>
      writer.run((txn) => createBucket(txn, name, config)),
    getBucket: async (name) => describe(requireBucket(database.reader, name)),
    async updateBucket(name, config) {
      const dropped = await writer.run((txn) => change(txn, name, config));
      if (dropped.length > 0) await clear();
    },
    async putBucket(name, config) {
      const dropped = await writer.run((txn) => {
        const text = txn.get(bucketKey(name));
        if (text === undefined) {
          createBucket(txn, name, config);
          return [];
        }
        const version = config.options?.version ?? 0;
        const same = requireBucket(txn, name).version === version;
        return same ? [] : change(txn, name, config);
      });
      if (dropped.length > 0) await clear();
    },
    async deleteBucket(name) {
      await writer.run((txn) => deleteBucket(txn, name));
      await clear();
    },
    listBuckets: () =>
      database.consistently(async (reader) => {
        const all = await readAll(reader, prefixRange('b/'));
        return all.map(([key]) =>
          describe(requireBucket(reader, key.slice(2))),
        );
      }),
    reindexObjects: (name, count) =>
      writer.run((txn) => reindexObjects(txn, name, count)),
  };
}

async function change(
  txn: Transaction,
  name: string,
  config: BucketConfig,
): Promise<string[]> {
  const { id } = requireBucket(txn, name);
  return updateBucket(txn, name, config, await countObjects(txn, id));
}

async function countObjects(reader: Reader, bucket: number): Promise<number> {
  let count = 0;
  for await (const entries of pages(reader, idRange(bucket), 5000)) {
    count += entries.length;
  }
  return count;
}

function objectOperations(
  database: Database,
  writer: Writer,
  hints: GapHints,
  triggers: BucketTriggers,
): ObjectOperations {
  const target = (txn: Transaction) => withTriggers(targetOf(txn), triggers);
  return {
    async getObject<T>(bucket: string, key: string) {
      const found = requireBucket(database.reader, bucket);
      const object = fetchRecord(database.reader, found, key);
      if (object === null) throw objectNotFound(bucket, key);
      return object as StoredObject<T>;
    },
    async putObject(bucket, key, value, options) {
      const put = preparePut(bucket, key, value, options);
      return writer.run((txn) => put(target(txn)));
    },
    async delObject(bucket, key, options) {
      await writer.run((txn) => target(txn).remove(bucket, key, options?.etag));
    },
    async findObjects<T>(bucket: string, filter: string, options = {}) {
      const result = await database.consistently((reader) =>
        find(reader, requireBucket(reader, bucket), filter, options),
      );
      return result as FindResult<T>;
    },
    async updateObjects(bucket, fields, filter) {
      const fixed = structuredClone(fields);
      return writer.run((txn) =>
        updateObjects(txn, requireBucket(txn, bucket), fixed, filter),
      );
    },
    deleteMany: (bucket, filter) =>
      writer.run((txn) => deleteMany(txn, requireBucket(txn, bucket), filter)),
    async batch(requests, events = []) {
      const batch = prepareBatch(requests, events);
      return writer.run((txn) => batch(target(txn)));
    },
    restore: (image) => writer.run((txn) => restoreImage(txn, image)),
    findGap: (bucket, field, from, to) =>
      database.consistently((reader) =>
        findGap(reader, hints, requireBucket(reader, bucket), field, from, to),
      ),
  };
}
