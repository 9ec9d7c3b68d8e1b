// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The matches `overlaps`, `contains` and `within`, by the type of the field:
 *
 *     number, date            within a range
 *     numrange, daterange     overlaps a range, contains a number or a date
 *     ip                      within a subnet
 *     subnet                  contains an address
 *
 * as moray has them. A subnet also contains, overlaps or is within a subnet,
 * for which callers of moray take SQL. A subnet of one address is not one that
 * the address is in, as PostgreSQL's `>>` has it. Pure.
 */

import {
  covers,
  encodeAddress,
  encodePrefix,
  lastOf,
  type Prefix,
  parsePrefix,
  truncate,
  width,
} from './address.js';
import { beginningBy, holds, overlaps } from './range.js';
import { encodeScalar, rangeOf } from './scalar.js';
import type { ScalarIndexType } from './types.js';

/** What a match asks of one value, and where in an index to look. */
export interface Extended {
  matches(value: unknown): boolean;
  /** Texts one of which a match has, */
  equal: string[];
  /** or between which, both included, it is; null for no bound. */
  between: { low: string | null; high: string | null } | null;
}

/** The type of a range's points. */
const POINTS = { numrange: 'number', daterange: 'date' } as const;

/**
 * @param type the field's, or its elements'
 * @param rule `overlaps`, `contains` or `within`
 * @returns null when the type has no such match, or not with this value
 */
export function extendedOf(
  type: ScalarIndexType,
  rule: string,
  value: string,
): Extended | null {
  switch (type) {
    case 'number':
      return rule === 'within' ? pointWithin(type, 'numrange', value) : null;
    case 'date':
      return rule === 'within' ? pointWithin(type, 'daterange', value) : null;
    case 'numrange':
    case 'daterange':
      if (rule === 'contains') return rangeContains(type, value);
      return rule === 'overlaps' ? rangeOverlaps(type, value) : null;
    case 'ip':
      return rule === 'within' ? addressWithin(value) : null;
    case 'subnet':
      return subnetMatch(rule, value);
    default:
      return null;
  }
}

function pointWithin(
  type: 'number' | 'date',
  ranges: 'numrange' | 'daterange',
  value: string,
): Extended | null {
  const range = rangeOf(ranges, value);
  if (range === null) return null;
  const { low, high } = range;
  return {
    matches(item) {
      const point = encodeScalar(type, item);
      return point !== null && holds(range, point);
    },
    equal: [],
    between: { low, high },
  };
}

function rangeContains(
  type: 'numrange' | 'daterange',
  value: string,
): Extended | null {
  const point = encodeScalar(POINTS[type], value);
  if (point === null) return null;
  return {
    matches(item) {
      const own = rangeOf(type, item);
      return own !== null && holds(own, point);
    },
    equal: [],
    between: { low: null, high: beginningBy(point) },
  };
}

function rangeOverlaps(
  type: 'numrange' | 'daterange',
  value: string,
): Extended | null {
  const range = rangeOf(type, value);
  if (range === null) return null;
  return {
    matches(item) {
      const own = rangeOf(type, item);
      return own !== null && overlaps(own, range);
    },
    equal: [],
    between: { low: null, high: beginningBy(range.high) },
  };
}

function addressWithin(value: string): Extended | null {
  const subnet = parsePrefix(value);
  if (subnet === null) return null;
  return {
    matches(item) {
      const own = hostPrefix(item);
      return own !== null && covers(subnet, own) && own.bits > subnet.bits;
    },
    equal: [],
    between: { low: subnet.base, high: lastOf(subnet) },
  };
}

/** An address as the prefix that has it alone. */
function hostPrefix(value: unknown): Prefix | null {
  const base = encodeAddress(value);
  return base === null ? null : { base, bits: width(base) };
}

function subnetMatch(rule: string, value: string): Extended | null {
  const address = hostPrefix(value);
  const wanted = address ?? parsePrefix(value);
  if (wanted === null) return null;
  const contains = (own: Prefix) =>
    covers(own, wanted) && (address === null || own.bits < wanted.bits);
  // What contains a prefix is one of the few prefixes above it.
  const above = Array.from({ length: wanted.bits + 1 }, (_, bits) =>
    encodePrefix(truncate(wanted.base, bits)),
  );
  const inside = {
    low: encodePrefix({ base: wanted.base, bits: 0 }),
    high: encodePrefix({ base: lastOf(wanted), bits: width(wanted.base) }),
  };
  const fits = (own: Prefix) => {
    if (rule === 'contains') return contains(own);
    if (rule === 'within') return covers(wanted, own);
    return contains(own) || covers(wanted, own);
  };
  return {
    matches(item) {
      const own = parsePrefix(item);
      return own !== null && fits(own);
    },
    equal: rule === 'within' ? [] : above,
    between: rule === 'contains' ? null : inside,
  };
}
