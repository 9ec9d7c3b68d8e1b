// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: the store answers differently from a naive map of objects
 * that scans everything. Random operations on both; results, etags, errors and
 * finds must agree. A failure prints its seed: run again with SEED=...
 */

import {
  and,
  eq,
  extended,
  ge,
  le,
  not,
  or,
  present,
} from '#lib/store/filter-text.js';
import { type BatchRequest, type Store, StoreError } from '#lib/store/types.js';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';
import { onEachEngine, reopenable } from '#test/tmp-store.js';

interface Value {
  name?: string;
  size?: number;
  up?: boolean;
  ip?: string;
  tags?: string[];
  note?: string;
  at?: string;
  span?: string;
}
interface Held {
  value: Value;
  etag: string;
}
type Model = Map<string, Held>;
type Matcher = (value: Value) => boolean;

const BUCKET = {
  index: {
    name: { type: 'string' as const },
    size: { type: 'number' as const },
    up: { type: 'boolean' as const },
    ip: { type: 'ip' as const, unique: true },
    tags: { type: '[string]' as const },
    at: { type: 'date' as const },
    span: { type: 'numrange' as const },
  },
};
const NAMES = ['a', 'ab', 'abc', 'b', 'é(*)', 'x\\y', '\u0000', '𝒳'];
const SIZES = [-1e9, -2.5, -1, 0, 0.5, 1, 2, 10, 2 ** 40];
/** A millisecond, a second, a year and more apart. */
const DATES = [
  '1758-05-06T00:00:00Z',
  '1999-12-31T23:59:59.999Z',
  '2000-01-01T00:00:00Z',
  '2000-01-01T00:00:00.001Z',
  '2020-09-09T09:09:09Z',
];
/** Bounds of ranges; each point between them is one of `POINTS`. */
const BOUNDS = [-1, 0, 2, 3];
const POINTS = [-2, -1, -0.5, 0, 1, 2, 2.5, 3, 4];
const OPERATIONS = 2500;
const LIMIT_MS = 15_000;

function numberOf(ip: string): number {
  return ip.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

function randomIp(rng: Rng): string {
  return `10.0.${rng.below(2)}.${rng.between(250, 255)}`;
}

/** A range as text, its bounds of a list, either of them perhaps infinite. */
function randomRange(rng: Rng, bounds: readonly (number | string)[]): string {
  const [a, b] = [rng.below(bounds.length), rng.below(bounds.length)];
  const low = rng.chance(0.8) ? bounds[Math.min(a, b)] : '';
  const high = rng.chance(0.8) ? bounds[Math.max(a, b)] : '';
  return `${rng.pick(['[', '('])}${low},${high}${rng.pick([']', ')'])}`;
}

/** Those of some points that are in a range, found one by one. */
function pointsOf<T>(range: string, points: T[], as: (text: string) => T): T[] {
  const [low = '', high = ''] = range.slice(1, -1).split(',');
  return points.filter((point) => {
    if (low !== '' && point <= as(low)) {
      if (point < as(low) || range.startsWith('(')) return false;
    }
    if (high !== '' && point >= as(high)) {
      if (point > as(high) || range.endsWith(')')) return false;
    }
    return true;
  });
}

const spanOf = (range: string) => pointsOf(range, POINTS, Number);
const dateOf = (text: string) => new Date(text).getTime();

/** A comparison with a date or a range. */
function randomSpanTerm(rng: Rng): [string, Matcher] {
  const at = rng.pick(DATES);
  const point = rng.pick(POINTS);
  const range = randomRange(rng, BOUNDS);
  const dates = randomRange(rng, DATES);
  const days = pointsOf(dates, DATES.map(dateOf), dateOf);
  const own = (v: Value) => (v.span === undefined ? [] : spanOf(v.span));
  return rng.pick<() => [string, Matcher]>([
    () => [
      ge('at', at),
      (v) => v.at !== undefined && dateOf(v.at) >= dateOf(at),
    ],
    () => [
      extended('at', 'within', dates),
      (v) => v.at !== undefined && days.includes(dateOf(v.at)),
    ],
    () => [
      extended('size', 'within', range),
      (v) =>
        v.size !== undefined && pointsOf(range, [v.size], Number).length > 0,
    ],
    () => [extended('span', 'contains', point), (v) => own(v).includes(point)],
    () => [
      extended('span', 'overlaps', range),
      (v) => spanOf(range).some((each) => own(v).includes(each)),
    ],
    () => [present('span'), (v) => v.span !== undefined],
  ])();
}

function randomValue(rng: Rng): Value {
  const value: Value = {};
  if (rng.chance(0.7)) value.name = rng.pick(NAMES);
  if (rng.chance(0.7)) value.size = rng.pick(SIZES);
  if (rng.chance(0.6)) value.up = rng.chance(0.5);
  if (rng.chance(0.4)) value.ip = randomIp(rng);
  if (rng.chance(0.5)) value.tags = rng.shuffle(NAMES).slice(0, rng.below(3));
  if (rng.chance(0.3)) value.note = rng.pick(NAMES);
  if (rng.chance(0.5)) value.at = rng.pick(DATES);
  if (rng.chance(0.5)) value.span = randomRange(rng, BOUNDS);
  return value;
}

/** One comparison as text and as what it means. */
function randomTerm(rng: Rng): [string, Matcher] {
  const name = rng.pick(NAMES);
  const size = rng.pick(SIZES);
  const ip = randomIp(rng);
  const field = rng.pick(['name', 'size', 'up', 'ip', 'tags'] as const);
  const bytes = (text: string) => Buffer.from(text, 'utf8');
  return rng.pick<() => [string, Matcher]>([
    () => [eq('name', name), (v) => v.name === name],
    () => [
      le('name', name),
      (v) =>
        v.name !== undefined && Buffer.compare(bytes(v.name), bytes(name)) <= 0,
    ],
    () => [eq('size', size), (v) => v.size === size],
    () => [ge('size', size), (v) => v.size !== undefined && v.size >= size],
    () => [le('size', size), (v) => v.size !== undefined && v.size <= size],
    () => [eq('up', true), (v) => v.up === true],
    () => [eq('ip', ip), (v) => v.ip === ip],
    () => [
      ge('ip', ip),
      (v) => v.ip !== undefined && numberOf(v.ip) >= numberOf(ip),
    ],
    () => [eq('tags', name), (v) => v.tags?.includes(name) ?? false],
    () => [present(field), (v) => v[field] !== undefined],
    () => ['(name=a*)', (v) => v.name?.startsWith('a') ?? false],
    () => ['(name=*b*)', (v) => v.name?.includes('b') ?? false],
  ])();
}

function randomFilter(rng: Rng, depth: number): [string, Matcher] {
  if (depth === 0 || rng.chance(0.4)) {
    return rng.chance(0.25) ? randomSpanTerm(rng) : randomTerm(rng);
  }
  if (rng.chance(0.25)) {
    const [text, matches] = randomFilter(rng, depth - 1);
    return [not(text), (v) => !matches(v)];
  }
  const all = rng.chance(0.6);
  const parts = Array.from({ length: rng.between(2, 3) }, () =>
    randomFilter(rng, depth - 1),
  );
  const texts = parts.map(([text]) => text);
  return [
    all ? and(...texts) : or(...texts),
    (v) =>
      all
        ? parts.every(([, matches]) => matches(v))
        : parts.some(([, matches]) => matches(v)),
  ];
}

/** The model's batch: a copy, returned only when nothing was wrong. */
function applyTo(model: Model, requests: BatchRequest[]): Model | string {
  const next: Model = new Map(model);
  for (const request of requests) {
    if (!('key' in request) || request.operation === 'check') {
      throw new Error('not in this test');
    }
    const { key } = request;
    const held = next.get(key);
    const expected = request.options?.etag;
    if (request.operation === 'delete') {
      if (held === undefined) return 'ObjectNotFoundError';
      if (typeof expected === 'string' && expected !== held.etag) {
        return 'EtagConflictError';
      }
      next.delete(key);
      continue;
    }
    if (expected !== undefined && expected !== (held?.etag ?? null)) {
      return 'EtagConflictError';
    }
    const value = request.value as Value;
    for (const [other, { value: own }] of next) {
      if (other !== key && own.ip !== undefined && own.ip === value.ip) {
        return 'UniqueAttributeError';
      }
    }
    next.set(key, { value, etag: '' });
  }
  return next;
}

function randomRequests(rng: Rng, model: Model): BatchRequest[] {
  return Array.from({ length: rng.between(1, 4) }, () => {
    const bucket = 'things';
    const key = `k${rng.below(25)}`;
    const etag = rng.pick([
      undefined,
      undefined,
      null,
      model.get(key)?.etag || undefined,
      'deadbeef',
    ]);
    const options = rng.chance(0.6) ? {} : { etag };
    return rng.chance(0.25)
      ? { operation: 'delete', bucket, key, options }
      : { bucket, key, value: randomValue(rng), options };
  });
}

/** Runs one batch on both and returns the model's new state. */
async function step(store: Store, model: Model, rng: Rng): Promise<Model> {
  const requests = randomRequests(rng, model);
  // Etags of objects written earlier in the same batch are not modelled.
  const keys = requests.map((one) => ('key' in one ? one.key : ''));
  if (new Set(keys).size < keys.length) return model;
  const expected = applyTo(model, requests);
  let outcome: string | undefined;
  try {
    const { etags } = await store.batch(requests);
    for (const { key, etag } of etags) {
      const held =
        typeof expected === 'string' ? null : expected.get(key ?? '');
      if (held && etag !== undefined) held.etag = etag;
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    outcome = error.name;
  }
  const wanted = typeof expected === 'string' ? expected : undefined;
  if (outcome !== wanted) {
    throw new Error(
      `batch gave ${outcome}, expected ${wanted}: ${JSON.stringify(requests)}`,
    );
  }
  return typeof expected === 'string' ? model : expected;
}

function orderOf(value: Value, field: 'size' | 'name' | 'at') {
  const own = value[field];
  return field === 'at' && own !== undefined ? dateOf(String(own)) : own;
}

/** Unset comes last; texts by their bytes. */
function compare(a: string | number | undefined, b: typeof a): number {
  if (a === undefined || b === undefined) {
    return Number(a === undefined) - Number(b === undefined);
  }
  if (typeof a === 'number') return a - Number(b);
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(String(b), 'utf8'));
}

async function compareFind(store: Store, model: Model, rng: Rng) {
  const [filter, matches] = randomFilter(rng, 3);
  const sort = rng.pick([undefined, 'size', 'name', 'at'] as const);
  const wanted = [...model]
    .filter(([, { value }]) => matches(value))
    .map(([key, { value, etag }]) => ({ key, value, etag }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .sort((a, b) =>
      sort ? compare(orderOf(a.value, sort), orderOf(b.value, sort)) : 0,
    );
  const offset = rng.chance(0.3) ? rng.below(4) : 0;
  const limit = rng.chance(0.3) ? rng.below(4) : 1000;
  const noCount = rng.chance(0.5);
  const found = await store.findObjects('things', filter, {
    sort: sort
      ? [{ attribute: sort }, { attribute: '_key' }]
      : { attribute: '_key' },
    offset,
    limit,
    noCount,
  });
  const shown = JSON.stringify([
    noCount ? wanted.length : found.count,
    found.objects.map(({ key, value, _etag }) => [key, value, _etag]),
  ]);
  const expected = JSON.stringify([
    wanted.length,
    wanted
      .slice(offset, offset + limit)
      .map(({ key, value, etag }) => [key, value, etag]),
  ]);
  if (shown !== expected) {
    throw new Error(`${filter}: found ${shown}, expected ${expected}`);
  }
}

async function compareGap(store: Store, model: Model, rng: Rng) {
  const from = numberOf('10.0.0.249') + rng.below(3);
  const to = numberOf('10.0.1.255') + rng.below(3);
  const used = new Set(
    [...model.values()].flatMap(({ value }) =>
      value.ip === undefined ? [] : [numberOf(value.ip)],
    ),
  );
  let start = from + 1;
  while (used.has(start)) start += 1;
  let length = 0;
  while (length < 50 && start + length < to && !used.has(start + length)) {
    length += 1;
  }
  const gap = await store.findGap('things', 'ip', from, to);
  const wanted = start < to ? { start, length } : null;
  if (JSON.stringify(gap) !== JSON.stringify(wanted)) {
    throw new Error(
      `gap ${JSON.stringify(gap)}, expected ${JSON.stringify(wanted)}`,
    );
  }
}

/** update and deleteMany, on everything that a filter matches. */
async function change(store: Store, model: Model, rng: Rng): Promise<void> {
  const [filter, matches] = randomTerm(rng);
  const hit = [...model].filter(([, { value }]) => matches(value));
  if (rng.chance(0.3)) {
    const { count } = await store.deleteMany('things', filter);
    for (const [key] of hit) model.delete(key);
    if (count !== hit.length) throw new Error(`${filter}: deleted ${count}`);
    return;
  }
  const size = rng.pick(SIZES);
  const fields = { size: String(size) };
  const done = await store.updateObjects('things', fields, filter);
  for (const [key, { value }] of hit) {
    model.set(key, { value: { ...value, size }, etag: done.etag });
  }
  if (done.count !== hit.length) {
    throw new Error(`${filter}: updated ${done.count}`);
  }
}

onEachEngine('the store agrees with a map of objects', async (t) => {
  const seed = seedOfRun();
  t.comment(`SEED=${seed}`);
  const rng = seededRng(seed);
  const open = await reopenable(t);
  let store = await open();
  await store.createBucket('things', BUCKET);
  let model: Model = new Map();
  const until = Date.now() + LIMIT_MS;
  let done = 0;
  for (; done < OPERATIONS && Date.now() < until; done += 1) {
    const kind = rng.float();
    if (kind < 0.35) model = await step(store, model, rng);
    else if (kind < 0.39) await change(store, model, rng);
    else if (kind < 0.5) await compareGap(store, model, rng);
    else if (kind < 0.995) await compareFind(store, model, rng);
    else {
      await store.close();
      store = await open();
    }
  }
  await store.close();
  t.ok(done > 100, `${done} operations agreed`);
});
