// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Buckets: their configuration as checked and kept, creating, changing and
 * dropping them, and rebuilding indexes (facts: triton-napi 9.2). Every index
 * has a number of its own; one that is added again gets a new one, so entries
 * of the old can be cleared at leisure.
 */

import {
  bucketKey,
  bucketPrefixes,
  droppedKey,
  indexPrefix,
  META,
  nextIdKey,
} from './keys.js';
import type { Reader } from './reader.js';
import type { Transaction } from './transaction.js';
import {
  type BucketConfig,
  type BucketInfo,
  type IndexSpec,
  StoreError,
} from './types.js';

/** An index of a bucket, with the number that its keys have. */
export interface NumberedIndex extends IndexSpec {
  number: number;
}

/** Reindexing: which fields, from which `_id`, up to which. */
export interface Reindex {
  fields: string[];
  next: number;
  end: number;
  remaining: number;
}

/** A bucket as the store keeps it. */
export interface Bucket {
  name: string;
  id: number;
  index: Record<string, NumberedIndex>;
  version: number;
  mtime: number;
  nextIndex: number;
  reindex: Reindex | null;
}

/** What buckets need of a transaction: one value at a time. */
export type Meta = Pick<Transaction, 'get' | 'set' | 'remove' | 'now'>;

const TYPES = [
  'string',
  'number',
  'boolean',
  'ip',
  'subnet',
  'mac',
  'uuid',
  'date',
  'numrange',
  'daterange',
];
const RESERVED_BUCKETS = ['buckets_config', 'moray', 'search'];
const RESERVED_FIELDS =
  /^(_id|_idx|_key|_etag|_atime|_ctime|_mtime|_rver|_txn_snap|_value|_vnode|moray.*|.*_)$/;

function notFound(name: string): StoreError {
  return new StoreError('BucketNotFoundError', `${name} does not exist`, {
    bucket: name,
  });
}

/**
 * The bucket of a name.
 * @throws StoreError BucketNotFoundError
 */
export function requireBucket(
  reader: Pick<Reader, 'get'>,
  name: string,
): Bucket {
  const text = reader.get(bucketKey(name));
  if (text === undefined) throw notFound(name);
  return JSON.parse(text) as Bucket;
}

/** The index on a field, or undefined. */
export function indexOn(
  bucket: Bucket,
  field: string,
): NumberedIndex | undefined {
  return Object.hasOwn(bucket.index, field) ? bucket.index[field] : undefined;
}

/** Writes a bucket's configuration. */
export function saveBucket(txn: Meta, bucket: Bucket): void {
  txn.set(bucketKey(bucket.name), JSON.stringify(bucket));
}

/** What callers see of a bucket. */
export function describe(bucket: Bucket): BucketInfo {
  const index: Record<string, IndexSpec> = {};
  for (const [field, spec] of Object.entries(bucket.index)) {
    index[field] = {
      type: spec.type,
      ...(spec.unique === true ? { unique: true } : {}),
    };
  }
  return {
    name: bucket.name,
    index,
    options: { version: bucket.version },
    mtime: bucket.mtime,
    reindex_active: bucket.reindex?.fields ?? [],
  };
}

/** Adds to a counter of the database and returns what it was. */
export function takeNumber(txn: Meta, key: string, by = 1): number {
  const value = Number(txn.get(key) ?? '1');
  txn.set(key, String(value + by));
  return value;
}

function validate(name: string, config: BucketConfig): void {
  const reserved = RESERVED_BUCKETS.includes(name);
  if (!/^[a-zA-Z]\w{0,62}$/.test(name) || reserved) {
    throw new StoreError(
      'InvalidBucketNameError',
      `${name} is not a valid bucket name`,
      { bucket: name },
    );
  }
  for (const [field, spec] of Object.entries(config.index)) {
    const why = wrongIndex(field, spec);
    if (why === null) continue;
    throw new StoreError(
      'InvalidBucketConfigError',
      `${name}: index "${field}" ${why}`,
      { bucket: name, field },
    );
  }
}

function wrongIndex(field: string, spec: IndexSpec): string | null {
  if (!/^[a-zA-Z_]\w*$/.test(field)) return 'has an invalid name';
  if (RESERVED_FIELDS.test(field)) return 'has a reserved name';
  const element = spec.type.replace(/^\[(.*)\]$/, '$1');
  if (!TYPES.includes(element)) return `has unknown type "${spec.type}"`;
  if (spec.unique === true && element !== spec.type) {
    return 'is a list and cannot be unique';
  }
  return null;
}

/** @throws StoreError BucketConflictError when there is one of that name */
export function createBucket(
  txn: Meta,
  name: string,
  config: BucketConfig,
): void {
  validate(name, config);
  if (txn.get(bucketKey(name)) !== undefined) {
    throw new StoreError('BucketConflictError', `${name} already exists`, {
      bucket: name,
    });
  }
  const entries = Object.entries(config.index).map(
    ([field, spec], i) => [field, { ...spec, number: i + 1 }] as const,
  );
  saveBucket(txn, {
    name,
    id: takeNumber(txn, META.buckets),
    index: Object.fromEntries(entries),
    version: config.options?.version ?? 0,
    mtime: txn.now,
    nextIndex: entries.length + 1,
    reindex: null,
  });
}

/**
 * Takes a new configuration: added and changed indexes wait for a reindex,
 * removed ones go.
 * @param objects how many objects the bucket has
 * @returns prefixes of keys to clear
 * @throws StoreError BucketVersionError unless the version is newer
 */
export function updateBucket(
  txn: Meta,
  name: string,
  config: BucketConfig,
  objects: number,
): string[] {
  validate(name, config);
  const old = requireBucket(txn, name);
  const version = config.options?.version ?? 0;
  if (old.version !== 0 && version <= old.version) {
    throw new StoreError(
      'BucketVersionError',
      `${name} has version ${old.version}; ${version} is not newer`,
      { bucket: name },
    );
  }
  const bucket: Bucket = { ...old, index: {}, version, mtime: txn.now };
  const added: string[] = [];
  for (const [field, spec] of Object.entries(config.index)) {
    const before = old.index[field];
    const same =
      before !== undefined &&
      before.type === spec.type &&
      (before.unique ?? false) === (spec.unique ?? false);
    if (same) bucket.index[field] = before;
    else {
      bucket.index[field] = { ...spec, number: bucket.nextIndex };
      bucket.nextIndex += 1;
      added.push(field);
    }
  }
  bucket.reindex = startReindex(txn, old, bucket, added, objects);
  saveBucket(txn, bucket);
  const kept = new Set(Object.values(bucket.index).map((spec) => spec.number));
  const dropped = Object.values(old.index)
    .filter((spec) => !kept.has(spec.number))
    .map((spec) => indexPrefix(old.id, spec.number));
  for (const prefix of dropped) txn.set(droppedKey(prefix), '');
  return dropped;
}

function startReindex(
  txn: Meta,
  old: Bucket,
  bucket: Bucket,
  added: string[],
  objects: number,
): Reindex | null {
  const waiting = (old.reindex?.fields ?? []).filter(
    (field) => field in bucket.index && !added.includes(field),
  );
  const fields = [...waiting, ...added];
  if (fields.length === 0 || objects === 0) return null;
  if (added.length === 0 && old.reindex !== null) {
    return { ...old.reindex, fields };
  }
  const end = Number(txn.get(nextIdKey(bucket.id)) ?? '1');
  return { fields, next: 0, end, remaining: objects };
}

/**
 * Drops a bucket.
 * @returns prefixes of keys to clear
 */
export function deleteBucket(txn: Meta, name: string): string[] {
  const bucket = requireBucket(txn, name);
  txn.remove(bucketKey(name));
  txn.remove(nextIdKey(bucket.id));
  const dropped = bucketPrefixes(bucket.id);
  for (const prefix of dropped) txn.set(droppedKey(prefix), '');
  return dropped;
}
