// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Finding objects: parse, plan, collect candidates, fetch, check, sort, cut; or
 * for a page of many that nobody counts, walk in its order until it is full.
 * Works on any `Reader`, so a batch's update and deleteMany find what the
 * batch has written before them.
 */

import { type Bucket, indexOn } from './bucket.js';
import { type Filter, parseFilter } from './filter.js';
import { objectKey } from './keys.js';
import {
  comparedType,
  compileFilter,
  fieldValue,
  isInternal,
  type Predicate,
} from './match.js';
import { orderedWalk, type Walk } from './ordered.js';
import {
  isNarrow,
  type Plan,
  planFilter,
  requireIndexes,
  walkRange,
} from './plan.js';
import { pages, type Reader } from './reader.js';
import { readRecord } from './record.js';
import { encodeScalar } from './scalar.js';
import {
  type FindOptions,
  type FindResult,
  type SortSpec,
  type StoredObject,
  StoreError,
} from './types.js';

/** Moray's default; update and deleteMany obey it too (facts 9.2). */
export const DEFAULT_LIMIT = 1000;
const PAGE = 1000;
/** Entries tried of each index before asking which is the shortest. */
const FIRST_TRY = 32;

/**
 * Finds objects.
 * @throws StoreError InvalidQueryError, NotIndexedError
 */
export async function find(
  reader: Reader,
  bucket: Bucket,
  filterText: string,
  options: FindOptions = {},
): Promise<FindResult<Record<string, unknown>>> {
  const filter = parseFilter(filterText);
  const matches = compileFilter(bucket, filter);
  const plan = planFilter(bucket, filter);
  if (options.requireIndexes === true) requireIndexes(bucket, filter);
  const order = sortOrder(bucket, options.sort);
  const walk = pageWalk(bucket, filter, options);
  if (walk !== null) {
    return findPage(reader, bucket, { walk, plan, matches, order, options });
  }
  const keys = await collect(reader, bucket, plan, Infinity);
  const objects = await fetchAll(reader, bucket, keys ?? new Set(), matches);
  objects.sort(order);
  const page = cut(objects, options);
  const count = options.noCount === true ? page.length : objects.length;
  return { objects: page, count };
}

/** What limit and offset leave. */
export function cut<T>(objects: T[], options: FindOptions): T[] {
  const offset = options.offset ?? 0;
  const limit = options.limit ?? DEFAULT_LIMIT;
  return objects.slice(
    offset,
    options.noLimit === true ? undefined : offset + limit,
  );
}

/** The walk to a page that nobody counts; null where there is none. */
function pageWalk(
  bucket: Bucket,
  filter: Filter,
  options: FindOptions,
): Walk | null {
  if (options.noCount !== true || options.noLimit === true) return null;
  return orderedWalk(bucket, filter, options);
}

/** A page to find, in both ways. */
interface Wanted {
  walk: Walk;
  plan: Plan;
  matches: Predicate;
  order: Order;
  options: FindOptions;
}

/**
 * Collects what the indexes give while that is little, else walks in the order
 * asked for until the page is full. Nobody knows beforehand which is shorter,
 * so each is tried a little, then more.
 */
async function findPage(
  reader: Reader,
  bucket: Bucket,
  wanted: Wanted,
): Promise<FindResult<Record<string, unknown>>> {
  const { plan, matches, order, options } = wanted;
  const end = (options.offset ?? 0) + (options.limit ?? DEFAULT_LIMIT);
  const page = (found: StoredObject[]) => {
    const objects = cut(found.sort(order), options);
    return { objects, count: objects.length };
  };
  const walked = walkTo(reader, bucket, wanted, end);
  const first = FIRST_TRY + 2 * end;
  for (let bound = first; ; bound *= 4) {
    const worth = bound > first || isNarrow(plan);
    const keys = worth ? await collect(reader, bucket, plan, bound) : null;
    if (keys !== null) {
      return page(await fetchAll(reader, bucket, keys, matches));
    }
    for (let read = 0; read < bound; ) {
      const next = await walked.next();
      if (next.done === true) return page(next.value);
      read += next.value;
    }
  }
}

/**
 * Reads in the order asked for until a page is full.
 * @param end how many objects that takes
 * @returns what it found; before that, how many entries each step read
 */
async function* walkTo(
  reader: Reader,
  bucket: Bucket,
  { walk, matches, options }: Wanted,
  end: number,
): AsyncGenerator<number, StoredObject[]> {
  const [first, ...more]: SortSpec[] = [options.sort ?? []].flat();
  const found: StoredObject[] = [];
  const size = Math.min(PAGE, Math.max(FIRST_TRY, end));
  for await (const entries of pages(reader, walk.range, size)) {
    const keys = new Set(entries.map(walk.keyOf));
    found.push(...(await fetchAll(reader, bucket, keys, matches)));
    yield entries.length;
    if (found.length < end) continue;
    // What ties with the last of the page may belong before it.
    const [edge, last] = [found[end - 1], found.at(-1)];
    if (!edge || !last || !first || more.length === 0) break;
    if (orderBy(bucket, first)(edge, last) !== 0) break;
  }
  return found;
}

/** Objects of some keys, in their order, as far as they match. */
async function fetchAll(
  reader: Reader,
  bucket: Bucket,
  keys: Set<string>,
  matches: Predicate,
): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const some of fetch(reader, bucket, [...keys])) {
    for (const object of some) if (matches(object)) found.push(object);
  }
  return found;
}

async function* fetch(
  reader: Reader,
  bucket: Bucket,
  keys: string[],
): AsyncGenerator<StoredObject[]> {
  for (let at = 0; at < keys.length; at += PAGE) {
    const some = keys.slice(at, at + PAGE);
    const texts = await reader.getMany(
      some.map((key) => objectKey(bucket.id, key)),
    );
    yield some.flatMap((key, i) => {
      const text = texts[i];
      return text === undefined ? [] : [readRecord(bucket.name, key, text)];
    });
  }
}

/**
 * Keys of the objects that a plan gives.
 * @returns null as soon as there are more than `limit`
 */
async function collect(
  reader: Reader,
  bucket: Bucket,
  plan: Plan,
  limit: number,
): Promise<Set<string> | null> {
  switch (plan.kind) {
    case 'key':
      return new Set([plan.key]);
    case 'best':
      return collectBest(reader, bucket, plan.plans, limit);
    case 'union': {
      const keys = new Set<string>();
      for (const part of plan.plans) {
        const some = await collect(reader, bucket, part, limit);
        if (some === null || keys.size + some.size > limit) return null;
        for (const key of some) keys.add(key);
      }
      return keys;
    }
    default: {
      const range = plan.kind === 'walk' ? walkRange(bucket) : plan.range;
      const keys = new Set<string>();
      const size = Math.min(PAGE, limit + 1);
      for await (const entries of pages(reader, range, size)) {
        for (const [, key] of entries) keys.add(key);
        if (keys.size > limit) return null;
      }
      return keys;
    }
  }
}

/** Tries all plans a little, then more, until one of them is complete. */
async function collectBest(
  reader: Reader,
  bucket: Bucket,
  plans: Plan[],
  limit: number,
): Promise<Set<string> | null> {
  for (let some = FIRST_TRY; ; some *= 4) {
    const bound = Math.min(some, limit);
    for (const plan of plans) {
      const keys = await collect(reader, bucket, plan, bound);
      if (keys !== null) return keys;
    }
    if (bound === limit) return null;
  }
}

type Order = (a: StoredObject, b: StoredObject) => number;

/** Unset values come last ascending, first descending, as in PostgreSQL. */
export function sortOrder(bucket: Bucket, sort: FindOptions['sort']): Order {
  const specs: SortSpec[] = [sort ?? []].flat();
  const orders = specs.map((spec) => orderBy(bucket, spec));
  return (a, b) => {
    for (const order of orders) {
      const result = order(a, b);
      if (result !== 0) return result;
    }
    return a._id - b._id;
  };
}

function orderBy(bucket: Bucket, spec: SortSpec): Order {
  const field = spec.attribute;
  if (!isInternal(field) && indexOn(bucket, field) === undefined) {
    throw new StoreError(
      'NotIndexedError',
      `${bucket.name} has no index on "${field}" to sort by`,
      { bucket: bucket.name, field },
    );
  }
  const type = comparedType(bucket, field);
  const sign = spec.order === 'DESC' ? -1 : 1;
  const text = (object: StoredObject): string => {
    const value = fieldValue(object, field);
    const first = Array.isArray(value) ? value[0] : value;
    const encoded =
      first === undefined || first === null ? null : encodeScalar(type, first);
    return encoded === null ? '2' : `1${encoded}`;
  };
  return (a, b) => {
    const left = text(a);
    const right = text(b);
    return left === right ? 0 : (left < right ? -1 : 1) * sign;
  };
}
