// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A list's first page without the rest: objects are read in the order that is
 * asked for and reading ends with the page. Only for orders that the database
 * has itself: `_id`, `_key`, or one indexed field that is no list, ascending; what is
 * asked for after that orders its ties.
 */

import { type Bucket, indexOn } from './bucket.js';
import type { Filter } from './filter.js';
import {
  betweenRange,
  idKey,
  idRange,
  indexPrefix,
  type KeyRange,
  keyOfObject,
  objectRange,
  prefixRange,
} from './keys.js';
import { filterText } from './match.js';
import { isArrayType } from './scalar.js';
import type { FindOptions } from './types.js';

/** Keys to walk, and how an entry names its object. */
export interface Walk {
  range: KeyRange;
  keyOf(entry: [key: string, value: string]): string;
}

const NAMED = ([, value]: [string, string]) => value;

/** @returns the walk that gives the first order asked for, or null */
export function orderedWalk(
  bucket: Bucket,
  filter: Filter,
  options: FindOptions,
): Walk | null {
  const [first] = [options.sort ?? { attribute: '_id' }].flat();
  if (first?.order === 'DESC') return null;
  const field = first?.attribute ?? '_id';
  if (field === '_id') {
    const { low, high } = idRange(bucket.id);
    const from = leastId(filter);
    return {
      range: { low: from > 0 ? idKey(bucket.id, from) : low, high },
      keyOf: NAMED,
    };
  }
  if (field === '_key') {
    return {
      range: objectRange(bucket.id),
      keyOf: ([key]) => keyOfObject(key),
    };
  }
  const spec = indexOn(bucket, field);
  const waiting = bucket.reindex?.fields.includes(field) ?? false;
  if (spec === undefined || waiting || isArrayType(spec.type)) return null;
  const prefix = indexPrefix(bucket.id, spec.number);
  const { high } = prefixRange(prefix);
  const least = leastText(bucket, filter, field);
  const { low } = betweenRange(prefix, least, null);
  return { range: { low, high }, keyOf: NAMED };
}

/** The lowest text of a field that a filter admits; null when it may be any. */
function leastText(
  bucket: Bucket,
  filter: Filter,
  field: string,
): string | null {
  if (filter.kind === 'and') {
    const texts = filter.terms.map((term) => leastText(bucket, term, field));
    return texts.reduce(
      (a, b) => (a === null || (b !== null && b > a) ? b : a),
      null,
    );
  }
  const bounds = filter.kind === 'ge' || filter.kind === 'eq';
  if (!bounds || filter.field !== field) return null;
  return filterText(bucket, field, filter.value);
}

/** The lowest `_id` that a filter admits: where its next page begins. */
function leastId(filter: Filter): number {
  if (filter.kind === 'and') return Math.max(...filter.terms.map(leastId));
  if (filter.kind !== 'ge' || filter.field !== '_id') return 0;
  const id = Math.ceil(Number(filter.value));
  return Number.isSafeInteger(id) ? Math.max(0, id) : 0;
}
