// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a transaction can do to objects: put, delete, update, deleteMany, and
 * rebuilding indexes. Each keeps object, `_id` entry and index entries in step;
 * nothing else writes them.
 */

import type { Target, Written } from './batch.js';
import {
  type Bucket,
  indexOn,
  requireBucket,
  saveBucket,
  takeNumber,
} from './bucket.js';
import { checkEtag, etagOf, updateEtag, updatesBefore } from './etag.js';
import { indexEntries } from './indexes.js';
import { idKey, idRange, META, nextIdKey, objectKey } from './keys.js';
import { DEFAULT_LIMIT, find } from './query.js';
import { fetchRecord, writeRecord } from './record.js';
import { coerce } from './scalar.js';
import type { Transaction } from './transaction.js';
import {
  type EtagCondition,
  type FindOptions,
  type FindResult,
  type Image,
  type StoredObject,
  StoreError,
} from './types.js';

/**
 * Creates or replaces an object.
 * @param json the value's text, taken when the caller asked
 * @throws StoreError EtagConflictError, UniqueAttributeError,
 *   InvalidIndexTypeError
 */
export function putObject(
  txn: Transaction,
  bucket: Bucket,
  key: string,
  json: string,
  condition: EtagCondition,
): Written {
  const old = fetchRecord(txn, bucket, key);
  checkEtag(bucket.name, key, condition, old?._etag ?? null);
  const object: StoredObject = {
    bucket: bucket.name,
    key,
    value: JSON.parse(json) as Record<string, unknown>,
    _id: old?._id ?? takeNumber(txn, nextIdKey(bucket.id)),
    _etag: etagOf(json),
    _mtime: txn.now,
  };
  save(txn, bucket, object, old);
  return { etag: object._etag, id: object._id, update: old !== null };
}

/**
 * Deletes an object; a null condition is not checked, as in moray.
 * @returns the `_id` that it had
 * @throws StoreError ObjectNotFoundError, EtagConflictError
 */
export function deleteObject(
  txn: Transaction,
  bucket: Bucket,
  key: string,
  condition: EtagCondition,
): number {
  const old = fetchRecord(txn, bucket, key);
  if (old === null) throw objectNotFound(bucket.name, key);
  checkEtag(bucket.name, key, condition ?? undefined, old._etag);
  forget(txn, bucket, old);
  return old._id;
}

/** A transaction as a batch sees it. */
export function targetOf(txn: Transaction): Target {
  const at = (bucket: string) => requireBucket(txn, bucket);
  return {
    put: (bucket, key, json, condition) =>
      putObject(txn, at(bucket), key, json, condition),
    remove: (bucket, key, condition) =>
      deleteObject(txn, at(bucket), key, condition),
    check(bucket, key, condition) {
      const etag = fetchRecord(txn, at(bucket), key)?._etag ?? null;
      checkEtag(bucket, key, condition, etag);
    },
    update: (bucket, fields, filter) =>
      updateObjects(txn, at(bucket), fields, filter),
    deleteMany: (bucket, filter) => deleteMany(txn, at(bucket), filter),
    async absent(bucket, filter) {
      refuseFound((await find(txn, at(bucket), filter, ONE)).objects);
    },
    append: (events) => txn.append(events),
    position: () => txn.position(),
  };
}

/** To see whether there is any. */
export const ONE: FindOptions = { limit: 1, noCount: true };

/** @throws StoreError EtagConflictError naming the first of the objects */
export function refuseFound([found]: readonly StoredObject[]): void {
  if (found) checkEtag(found.bucket, found.key, null, found._etag);
}

/** Moray's error for a key that has no object. */
export function objectNotFound(bucket: string, key: string): StoreError {
  return new StoreError(
    'ObjectNotFoundError',
    `${bucket}::${key} does not exist`,
    { bucket, key },
  );
}

/**
 * Sets indexed fields of all objects that match; they share one new etag.
 * @throws StoreError FieldUpdateError, NotNullableError, InvalidQueryError
 */
export async function updateObjects(
  txn: Transaction,
  bucket: Bucket,
  fields: Record<string, unknown>,
  filter: string,
): Promise<{ etag: string; count: number }> {
  const values = updateValues(bucket, fields);
  const found = await matching(txn, bucket, filter);
  const etag = updateEtag(takeNumber(txn, META.updates));
  for (const old of found.objects) {
    const value = { ...old.value, ...values };
    save(txn, bucket, { ...old, value, _etag: etag, _mtime: txn.now }, old);
  }
  return { etag, count: found.objects.length };
}

/** Deletes all objects that match. */
export async function deleteMany(
  txn: Transaction,
  bucket: Bucket,
  filter: string,
): Promise<{ count: number }> {
  const found = await matching(txn, bucket, filter);
  for (const old of found.objects) forget(txn, bucket, old);
  return { count: found.objects.length };
}

function matching(
  txn: Transaction,
  bucket: Bucket,
  filter: string,
): Promise<FindResult<Record<string, unknown>>> {
  return find(txn, bucket, filter, { limit: DEFAULT_LIMIT });
}

/** Fields of an update with their types; see `updateObjects`. */
export function updateValues(
  bucket: Bucket,
  fields: Record<string, unknown>,
): Record<string, unknown> {
  const entries = Object.entries(fields);
  if (entries.length === 0) {
    throw new StoreError('FieldUpdateError', 'no fields to update', {
      bucket: bucket.name,
    });
  }
  const values = entries.map(([field, value]) => {
    const spec = indexOn(bucket, field);
    const context = { bucket: bucket.name, field };
    if (spec === undefined) {
      const message = `${bucket.name} has no index on "${field}" to update`;
      throw new StoreError('FieldUpdateError', message, context);
    }
    if (value === null || value === undefined) {
      const message = `"${field}" cannot be set to null`;
      throw new StoreError('NotNullableError', message, context);
    }
    const typed = coerce(spec.type, value);
    if (typed === null) {
      const message = `${field} must be of type ${spec.type}`;
      throw new StoreError('InvalidIndexTypeError', message, context);
    }
    return [field, typed] as const;
  });
  return Object.fromEntries(values);
}

/**
 * Writes an object and the difference of its index entries.
 * @param stored as for `indexEntries`
 */
function save(
  txn: Transaction,
  bucket: Bucket,
  object: StoredObject,
  old: StoredObject | null,
  stored = object === old,
): void {
  const { value, _id } = object;
  const after = indexEntries(bucket, value, _id, stored);
  const before =
    old === null ? null : indexEntries(bucket, old.value, _id, true);
  const waiting = bucket.reindex?.fields ?? [];
  for (const key of before?.keys() ?? []) {
    if (!after.has(key) && owns(txn, key, object.key)) txn.remove(key);
  }
  for (const [key, entry] of after) {
    if (before?.has(key) && !waiting.includes(entry.field)) continue;
    if (entry.unique && !owns(txn, key, object.key)) {
      const taken = txn.get(key);
      if (taken !== undefined) {
        throw notUnique(bucket.name, entry.field, object.value[entry.field]);
      }
    }
    txn.set(key, object.key);
  }
  txn.set(objectKey(bucket.id, object.key), writeRecord(object));
  if (old === null) txn.set(idKey(bucket.id, object._id), object.key);
}

/**
 * Writes part of a copy. Nothing is in its place and it was right where it
 * comes from, so nothing is read but counters.
 */
export function restoreImage(txn: Transaction, image: Image): void {
  for (const [name, objects] of byBucket(image.objects ?? [])) {
    const bucket = requireBucket(txn, name);
    for (const object of objects) insert(txn, bucket, object);
    const { id, update } = highest(objects);
    raise(txn, nextIdKey(bucket.id), id + 1);
    raise(txn, META.updates, update + 1);
  }
  if (image.unfinished !== undefined) {
    txn.set(META.unfinished, image.unfinished ? 'yes' : '');
  }
  if (image.horizon !== undefined) {
    txn.set(META.horizon, String(image.horizon));
    txn.startAfter(image.horizon);
  }
  txn.restore(image.entries ?? []);
}

function insert(txn: Transaction, bucket: Bucket, object: StoredObject): void {
  const { key, value, _id } = object;
  for (const entry of indexEntries(bucket, value, _id, true).keys()) {
    txn.set(entry, key);
  }
  txn.set(objectKey(bucket.id, key), writeRecord(object));
  txn.set(idKey(bucket.id, _id), key);
}

/** Objects of a copy by the name of their bucket. */
export function byBucket(objects: StoredObject[]): Map<string, StoredObject[]> {
  const found = new Map<string, StoredObject[]>();
  for (const object of objects) {
    const some = found.get(object.bucket);
    if (some === undefined) found.set(object.bucket, [object]);
    else some.push(object);
  }
  return found;
}

/** The highest `_id` of objects, and count of `updateEtag`. */
export function highest(objects: StoredObject[]): {
  id: number;
  update: number;
} {
  let [id, update] = [0, 0];
  for (const object of objects) {
    id = Math.max(id, object._id);
    update = Math.max(update, updatesBefore(object._etag));
  }
  return { id, update };
}

function raise(txn: Transaction, key: string, least: number): void {
  if (Number(txn.get(key) ?? '1') < least) txn.set(key, String(least));
}

/** Whether an index entry is there and leads to this object. */
function owns(txn: Transaction, entry: string, key: string): boolean {
  return txn.get(entry) === key;
}

/** Moray's error for a value that another object has. */
export function notUnique(
  bucket: string,
  field: string,
  value: unknown,
): StoreError {
  return new StoreError(
    'UniqueAttributeError',
    `"${field}" is a unique attribute; value "${String(value)}" ` +
      'already exists',
    { bucket, field, value: String(value) },
  );
}

function forget(txn: Transaction, bucket: Bucket, old: StoredObject): void {
  for (const key of indexEntries(bucket, old.value, old._id, true).keys()) {
    if (owns(txn, key, old.key)) txn.remove(key);
  }
  txn.remove(objectKey(bucket.id, old.key));
  txn.remove(idKey(bucket.id, old._id));
}

/**
 * Rebuilds the waiting indexes of some objects; etag and `_mtime` stay.
 * @param count at most how many objects
 */
export async function reindexObjects(
  txn: Transaction,
  name: string,
  count: number,
): Promise<{ processed: number; remaining: number }> {
  const bucket = requireBucket(txn, name);
  const work = bucket.reindex;
  if (work === null) return { processed: 0, remaining: 0 };
  const range = {
    low: idKey(bucket.id, work.next),
    high: idKey(bucket.id, work.end),
  };
  const page = await txn.page(range, Math.max(1, count));
  const some = page.entries;
  for (const [, key] of some) {
    const object = fetchRecord(txn, bucket, key);
    if (object !== null) save(txn, bucket, object, object);
  }
  const last = some.at(-1)?.[0];
  const done = last === undefined || page.next === null;
  const prefix = idRange(bucket.id).low.length;
  bucket.reindex = done
    ? null
    : {
        ...work,
        next: Number.parseInt(last.slice(prefix), 16) + 1,
        remaining: Math.max(0, work.remaining - some.length),
      };
  saveBucket(txn, bucket);
  return {
    processed: some.length,
    remaining: bucket.reindex?.remaining ?? 0,
  };
}
