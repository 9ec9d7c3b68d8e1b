// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The store's operations over readers, writer and journal. */

import { prepareBatch, preparePut } from '../batch.js';
import { describe, requireBucket } from '../bucket.js';
import { encodeText } from '../keys.js';
import { objectNotFound } from '../mutate.js';
import { type BucketTriggers, withTriggers } from '../trigger.js';
import type {
  BatchRequest,
  BucketInfo,
  FindResult,
  Journal,
  Store,
  StoredObject,
} from '../types.js';
import * as buckets from './buckets.js';
import type { Catalog } from './catalog.js';
import { type Link, quoted } from './connection.js';
import { find } from './find.js';
import { findGap, type GapMemory } from './gap.js';
import { objectOf, SELECTED, tableOf } from './tables.js';
import type { Touch, Work } from './work.js';
import type { Writer } from './writer.js';

/** What the operations stand on. */
export interface Parts {
  schema: string;
  readers: Link;
  catalog: Catalog;
  writer: Writer;
  journal: Journal;
  triggers: BucketTriggers;
}

/** @returns the store without `close` and such, which belong to whoever opened it */
export function createStore(
  parts: Parts,
): Omit<Store, 'close' | 'tell' | 'onTold'> {
  return {
    ...bucketOperations(parts),
    ...readOperations(parts),
    ...writeOperations(parts),
    journal: parts.journal,
    shared: true,
  };
}

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

function bucketOperations(parts: Parts): BucketOperations {
  const { schema, readers, writer } = parts;
  const meta = `${quoted(schema)}._meta`;
  async function read(where: string, value: string): Promise<BucketInfo[]> {
    const { rows } = await readers.query(
      `SELECT key, value FROM ${meta} WHERE key ${where} ORDER BY key`,
      [value],
    );
    return rows.map((row) => {
      const name = (row['key'] as string).slice(2);
      const get = () => row['value'] as string;
      return describe(requireBucket({ get }, name));
    });
  }
  return {
    createBucket: (name, config) =>
      writer.alone((work, link) =>
        buckets.create(work, link, schema, name, config),
      ),
    async getBucket(name) {
      const [found] = await read('= $1', `b/${name}`);
      if (found !== undefined) return found;
      return describe(requireBucket({ get: () => undefined }, name));
    },
    updateBucket: (name, config) =>
      writer.alone((work, link) =>
        buckets.update(work, link, schema, name, config),
      ),
    putBucket: (name, config) =>
      writer.alone((work, link) =>
        buckets.put(work, link, schema, name, config),
      ),
    deleteBucket: (name) =>
      writer.alone((work, link) => buckets.drop(work, link, schema, name)),
    listBuckets: () => read('LIKE $1', 'b/%'),
    reindexObjects: (name, count) =>
      writer.alone((work, link) =>
        buckets.reindex(work, link, schema, name, count),
      ),
  };
}

function readOperations(
  parts: Parts,
): Pick<Store, 'getObject' | 'findObjects' | 'findGap'> {
  const { schema, readers, catalog } = parts;
  const gaps: GapMemory = new Map();
  return {
    getObject<T>(name: string, key: string) {
      return catalog.with(readers, name, async (bucket) => {
        const { rows } = await readers.query(
          `SELECT ${SELECTED} FROM ${tableOf(schema, bucket.name)}
           WHERE _key = $1`,
          [encodeText(key)],
        );
        const row = rows[0];
        if (row === undefined) throw objectNotFound(name, key);
        return objectOf(name, key, row) as StoredObject<T>;
      });
    },
    findObjects<T>(name: string, filter: string, options = {}) {
      return catalog.with(readers, name, async (bucket) => {
        const found = await find(readers, schema, bucket, filter, options);
        return found as FindResult<T>;
      });
    },
    findGap: (name, field, from, to) =>
      catalog.with(readers, name, (bucket) =>
        findGap(readers, schema, gaps, bucket, field, from, to),
      ),
  };
}

type WriteOperations = Pick<
  Store,
  | 'restore'
  | 'putObject'
  | 'delObject'
  | 'updateObjects'
  | 'deleteMany'
  | 'batch'
>;

function writeOperations({ writer, triggers }: Parts): WriteOperations {
  const target = (work: Work) => withTriggers(work, triggers);
  return {
    restore: (image) => writer.run((work) => work.restore(image)),
    async putObject(bucket, key, value, options) {
      const put = preparePut(bucket, key, value, options);
      const touches = touchesOf([{ bucket, key, value }]);
      return writer.run((work) => put(target(work)), { touches });
    },
    async delObject(bucket, key, options) {
      const remove = async (work: Work) =>
        target(work).remove(bucket, key, options?.etag);
      await writer.run(remove, { touches: [{ bucket, key }] });
    },
    async updateObjects(bucket, fields, filter) {
      const fixed = structuredClone(fields);
      return writer.run((work) => work.update(bucket, fixed, filter), {
        searches: true,
      });
    },
    deleteMany: (bucket, filter) =>
      writer.run((work) => work.deleteMany(bucket, filter), {
        searches: true,
      }),
    async batch(requests, events = []) {
      const batch = prepareBatch(requests, events);
      const searches = requests.some((request) => 'filter' in request);
      const touches = touchesOf(requests);
      return writer.run((work) => batch(target(work)), { touches, searches });
    },
  };
}

/** Values as they are now: only their unique fields are looked at. */
function touchesOf(requests: BatchRequest[]): Touch[] {
  return requests.flatMap((request) => {
    if (!('key' in request)) return [];
    const { bucket, key } = request;
    if (!('value' in request)) return [{ bucket, key }];
    return [{ bucket, key, value: { ...request.value } }];
  });
}
