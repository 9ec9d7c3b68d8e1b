// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which keys to read for a filter. A plan gives at least all matching objects;
 * the predicate removes the others. Of the terms of an AND the plan keeps all
 * that an index answers, best guess first; `query.ts` finds by trying a little
 * of each which is really the shortest. Pure.
 */

import { type Bucket, indexOn, type NumberedIndex } from './bucket.js';
import type { Filter } from './filter.js';
import {
  betweenRange,
  equalRange,
  idKey,
  idRange,
  indexPrefix,
  type KeyRange,
  presentRange,
  startRange,
} from './keys.js';
import { extendedMatch, filterText, isInternal } from './match.js';
import { encodeScalar, isArrayType } from './scalar.js';
import { StoreError } from './types.js';

export type Plan =
  | { kind: 'key'; key: string }
  | { kind: 'range'; range: KeyRange; rank: number }
  | { kind: 'union'; plans: Plan[] }
  | { kind: 'best'; plans: Plan[] }
  | { kind: 'walk' };

/** Guesses at how many entries a range has; smaller is tried first. */
const RANK = { unique: 0, equal: 1, narrow: 2, wide: 3, all: 4 };

/**
 * @returns what to read
 * @throws StoreError NotIndexedError when no index helps
 */
export function planFilter(bucket: Bucket, filter: Filter): Plan {
  const plan = planTerm(bucket, filter);
  if (plan === null) {
    throw new StoreError(
      'NotIndexedError',
      `${bucket.name} has no usable index for the filter`,
      {
        bucket: bucket.name,
        reindexing: (bucket.reindex?.fields ?? []).join(','),
      },
    );
  }
  return plan;
}

/**
 * Refuses a filter unless an index serves each of its fields.
 * @throws StoreError NotIndexedError
 */
export function requireIndexes(bucket: Bucket, filter: Filter): void {
  if ('terms' in filter) {
    for (const term of filter.terms) requireIndexes(bucket, term);
  } else if ('term' in filter) {
    requireIndexes(bucket, filter.term);
  } else if (!mentionsIndex(bucket, filter)) {
    const { field } = filter;
    throw new StoreError(
      'NotIndexedError',
      `${bucket.name} has no usable index on "${field}"`,
      { bucket: bucket.name, field },
    );
  }
}

/** The index of a field, unless it still has to be rebuilt. */
function usable(bucket: Bucket, field: string): NumberedIndex | undefined {
  if (bucket.reindex?.fields.includes(field)) return undefined;
  return indexOn(bucket, field);
}

/** Null when no index helps with this term. */
function planTerm(bucket: Bucket, filter: Filter): Plan | null {
  switch (filter.kind) {
    case 'and':
      return planAnd(bucket, filter.terms);
    case 'or': {
      const plans = filter.terms.map((term) => planTerm(bucket, term));
      const known = plans.filter((plan) => plan !== null);
      if (known.length < plans.length) return null;
      const walk = known.some((plan) => plan.kind === 'walk');
      return walk ? { kind: 'walk' } : { kind: 'union', plans: known };
    }
    case 'not':
      return planNot(bucket, filter.term);
    default:
      return planField(bucket, filter);
  }
}

function planAnd(bucket: Bucket, terms: Filter[]): Plan | null {
  const plans = [...terms, ...boundPairs(bucket, terms)]
    .map((term) => ('low' in term ? term.plan : planTerm(bucket, term)))
    .filter((plan) => plan !== null);
  const short = plans.filter((plan) => plan.kind !== 'walk');
  if (short.length === 0) return plans[0] ?? null;
  short.sort((a, b) => rankOf(a) - rankOf(b));
  const first = short[0] as Plan;
  const single = short.length === 1 || rankOf(first) === RANK.unique;
  return single ? first : { kind: 'best', plans: short };
}

/** Whether a plan may well give few keys: it has a value, or both bounds. */
export function isNarrow(plan: Plan): boolean {
  return rankOf(plan) <= RANK.narrow;
}

/** `>=` and `<=` on one field that is no list: one range between them. */
function boundPairs(
  bucket: Bucket,
  terms: Filter[],
): { low: Filter; plan: Plan }[] {
  const pairs: { low: Filter; plan: Plan }[] = [];
  for (const low of terms) {
    if (low.kind !== 'ge') continue;
    const spec = usable(bucket, low.field);
    if (spec === undefined || isArrayType(spec.type)) continue;
    for (const high of terms) {
      if (high.kind !== 'le' || high.field !== low.field) continue;
      const range = betweenRange(
        indexPrefix(bucket.id, spec.number),
        filterText(bucket, low.field, low.value),
        filterText(bucket, high.field, high.value),
      );
      pairs.push({ low, plan: { kind: 'range', range, rank: RANK.narrow } });
    }
  }
  return pairs;
}

function rankOf(plan: Plan): number {
  if (plan.kind === 'key') return RANK.unique;
  if (plan.kind === 'range') return plan.rank;
  if (plan.kind === 'walk') return RANK.all;
  const ranks = plan.plans.map(rankOf);
  if (plan.kind === 'best') return Math.min(...ranks);
  return Math.max(RANK.equal, ...ranks);
}

/** Unset fields have entries; any other negation walks the bucket. */
function planNot(bucket: Bucket, term: Filter): Plan | null {
  if (term.kind === 'not') return planTerm(bucket, term.term);
  if (term.kind === 'present') {
    const spec = usable(bucket, term.field);
    if (spec !== undefined) {
      const prefix = indexPrefix(bucket.id, spec.number);
      const range = equalRange(prefix, null);
      return { kind: 'range', range, rank: RANK.wide };
    }
  }
  return mentionsIndex(bucket, term) ? { kind: 'walk' } : null;
}

function mentionsIndex(bucket: Bucket, filter: Filter): boolean {
  if ('terms' in filter) {
    return filter.terms.some((term) => mentionsIndex(bucket, term));
  }
  if ('term' in filter) return mentionsIndex(bucket, filter.term);
  return isInternal(filter.field) || usable(bucket, filter.field) !== undefined;
}

type FieldFilter = Exclude<Filter, { kind: 'and' | 'or' | 'not' }>;

function planField(bucket: Bucket, filter: FieldFilter): Plan | null {
  if (isInternal(filter.field)) return planInternal(bucket, filter);
  const spec = usable(bucket, filter.field);
  if (spec === undefined) return null;
  const prefix = indexPrefix(bucket.id, spec.number);
  const range = (found: KeyRange, rank: number): Plan => ({
    kind: 'range',
    range: found,
    rank,
  });
  switch (filter.kind) {
    case 'eq': {
      const text = filterText(bucket, filter.field, filter.value);
      const rank = spec.unique === true ? RANK.unique : RANK.equal;
      return range(equalRange(prefix, text), rank);
    }
    case 'ge': {
      const text = filterText(bucket, filter.field, filter.value);
      return range(betweenRange(prefix, text, null), RANK.wide);
    }
    case 'le': {
      const text = filterText(bucket, filter.field, filter.value);
      return range(betweenRange(prefix, null, text), RANK.wide);
    }
    case 'substring': {
      const start = encodeScalar('string', filter.parts[0] ?? '') as string;
      return start === ''
        ? range(presentRange(prefix), RANK.all)
        : range(startRange(prefix, start), RANK.narrow);
    }
    case 'present':
      return range(presentRange(prefix), RANK.all);
    case 'ext':
      return planExtended(bucket, spec, filter);
  }
}

function planInternal(bucket: Bucket, filter: FieldFilter): Plan {
  if (filter.kind !== 'eq') return { kind: 'walk' };
  if (filter.field === '_key') return { kind: 'key', key: filter.value };
  if (filter.field !== '_id') return { kind: 'walk' };
  const id = Number(filter.value);
  if (!Number.isSafeInteger(id) || id < 0) return { kind: 'walk' };
  const low = idKey(bucket.id, id);
  const high = `${low}\0`;
  return { kind: 'range', range: { low, high }, rank: RANK.unique };
}

function planExtended(
  bucket: Bucket,
  spec: NumberedIndex,
  filter: { field: string; rule: string; value: string },
): Plan {
  const prefix = indexPrefix(bucket.id, spec.number);
  if (filter.rule.startsWith('caseIgnore')) {
    return { kind: 'range', range: presentRange(prefix), rank: RANK.all };
  }
  const { equal, between } = extendedMatch(bucket, filter);
  const plans: Plan[] = equal.map((text) => ({
    kind: 'range',
    range: equalRange(prefix, text),
    rank: RANK.equal,
  }));
  if (between !== null) {
    const { low, high } = between;
    const range = betweenRange(prefix, low, high);
    const both = low !== null && high !== null;
    plans.push({ kind: 'range', range, rank: both ? RANK.narrow : RANK.wide });
  }
  const [only] = plans;
  return only && plans.length === 1 ? only : { kind: 'union', plans };
}

/** What a walk reads. */
export function walkRange(bucket: Bucket): KeyRange {
  return idRange(bucket.id);
}
