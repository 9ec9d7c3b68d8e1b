// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Ranges of numbers and of dates, as moray's `numrange` and `daterange` are
 * written: `[1,5)`, `(,2018-01-01T00:00:00Z]`. A bound that is not written is
 * infinite. Their order is PostgreSQL's, which moray has from there: an empty
 * range first, then by lower bound, then by upper bound. Pure values.
 */

/** Bounds are ordered text of points; null is infinite. */
export interface Range {
  readonly low: string | null;
  readonly high: string | null;
  /** Whether the bound itself belongs to the range. */
  readonly lowIn: boolean;
  readonly highIn: boolean;
}

/**
 * @param point a bound as ordered text, null when it is none
 * @returns the range, or null when the text is none or its bounds are turned
 */
export function parseRange(
  value: unknown,
  point: (text: string) => string | null,
): Range | null {
  const match = /^([[(])([^,]*),([^,]*)([)\]])$/.exec(String(value));
  if (match === null || typeof value !== 'string') return null;
  const [, open, from = '', to = '', close] = match;
  const low = from === '' ? null : point(from);
  const high = to === '' ? null : point(to);
  if ((low === null && from !== '') || (high === null && to !== '')) {
    return null;
  }
  if (low !== null && high !== null && low > high) return null;
  return { low, high, lowIn: open === '[', highIn: close === ']' };
}

/** Whether no point is in it, such as `[1,1)`. */
function isEmpty({ low, high, lowIn, highIn }: Range): boolean {
  return low !== null && low === high && !(lowIn && highIn);
}

/** Ordered text of a range; equal ranges have equal text. */
export function encodeRange(range: Range): string {
  const { low, high, lowIn, highIn } = range;
  if (isEmpty(range)) return '0';
  const begin = low === null ? '0' : `1${low}${lowIn ? 0 : 1}`;
  const end = high === null ? '1' : `0${high}${highIn ? 1 : 0}`;
  return `1${begin}${end}`;
}

/**
 * The text that is above those of all ranges that begin at a point or before,
 * and of the empty one; null when they may begin anywhere.
 */
export function beginningBy(point: string | null): string | null {
  return point === null ? null : `11${point}2`;
}

/** Whether a point is in a range. */
export function holds(range: Range, point: string): boolean {
  const { low, high, lowIn, highIn } = range;
  return (
    (low === null || point > low || (lowIn && point === low)) &&
    (high === null || point < high || (highIn && point === high))
  );
}

/** Whether two ranges have a point in common. */
export function overlaps(a: Range, b: Range): boolean {
  return !isEmpty(a) && !isEmpty(b) && beginsIn(a, b) && beginsIn(b, a);
}

/** Whether `a` begins before `b` has ended. */
function beginsIn(a: Range, b: Range): boolean {
  if (a.low === null || b.high === null) return true;
  return a.low < b.high || (a.low === b.high && a.lowIn && b.highIn);
}
