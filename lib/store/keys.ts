// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Keys whose byte order is the order of what they stand for. Every key is text
 * of characters up to U+00FF, so that comparing in JavaScript and comparing
 * the stored UTF-8 give the same order. Layout:
 *
 *     m/<name>                     counters and the format version
 *     b/<bucket name>              the bucket's configuration
 *     d/<prefix>                   a dropped bucket's or index's keys that
 *                                  are not all cleared yet
 *     n/<bucket id>                next `_id` of the bucket
 *     o<bucket id><object key>     the object
 *     i<bucket id><_id>            -> object key
 *     x<bucket id><index number><value>[<_id>]   -> object key
 *     j<seq>                       a journal entry
 *
 * A value is `1<text>\0` when set, `2\0` when unset (unset sorts last, as NULL
 * does); the `_id` follows unless a unique index makes the value enough.
 */

import { createHash } from 'node:crypto';

/** Sorts after every character that a key has. */
export const ABOVE = '\u0100';
/** Longest index text kept whole; longer ones end in a digest. */
export const TEXT_LIMIT = 400;

export const META = {
  format: 'm/format',
  position: 'm/position',
  horizon: 'm/horizon',
  updates: 'm/updates',
  buckets: 'm/buckets',
  /** Not empty while a copy into the store is under way. */
  unfinished: 'm/unfinished',
} as const;

/** A half-open stretch of keys. */
export interface KeyRange {
  readonly low: string;
  readonly high: string;
}

/** Text as key characters: order kept, no `\0` inside. */
export function encodeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys use them
  if (/^[\x02-\x7f]*$/.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  return bytes.replaceAll('\x01', '\x01\x02').replaceAll('\0', '\x01\x01');
}

/** The inverse of `encodeText`. */
export function decodeText(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys use them
  if (/^[\x02-\x7f]*$/.test(key)) return key;
  const bytes = key.replaceAll('\x01\x01', '\0').replaceAll('\x01\x02', '\x01');
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A bucket's id or another counter below 2^32, as 8 digits. */
export function shortNumber(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** A counter below 2^53, as 14 digits. */
export function longNumber(value: number): string {
  return value.toString(16).padStart(14, '0');
}

export function bucketKey(name: string): string {
  return `b/${name}`;
}

/** What is dropped: the keys that start with `prefix`. */
export function droppedKey(prefix: string): string {
  return `d/${prefix}`;
}

export function nextIdKey(bucket: number): string {
  return `n/${shortNumber(bucket)}`;
}

export function objectKey(bucket: number, key: string): string {
  return `o${shortNumber(bucket)}${encodeText(key)}`;
}

/** The user's key inside an object's key. */
export function keyOfObject(key: string): string {
  return decodeText(key.slice(9));
}

export function idKey(bucket: number, id: number): string {
  return `i${shortNumber(bucket)}${longNumber(id)}`;
}

export function journalKey(seq: number): string {
  return `j${longNumber(seq)}`;
}

/** All of a bucket's objects in the order of `_id`. */
export function idRange(bucket: number): KeyRange {
  return prefixRange(`i${shortNumber(bucket)}`);
}

/** All of a bucket's objects in the order of their keys. */
export function objectRange(bucket: number): KeyRange {
  return prefixRange(`o${shortNumber(bucket)}`);
}

/** What a bucket's keys start with, configuration apart. */
export function bucketPrefixes(bucket: number): string[] {
  return ['o', 'i', 'x'].map((kind) => kind + shortNumber(bucket));
}

/** What the entries of one index start with. */
export function indexPrefix(bucket: number, index: number): string {
  return `x${shortNumber(bucket)}${shortNumber(index)}`;
}

/** The prefix of an index entry's key. */
export function indexPrefixOf(key: string): string {
  return key.slice(0, 17);
}

/** The keys that start with a prefix. */
export function prefixRange(prefix: string): KeyRange {
  return { low: prefix, high: prefix + ABOVE };
}

/** The text of an index value, bounded; equal texts stay equal. */
export function bounded(text: string): string {
  if (text.length <= TEXT_LIMIT) return text;
  const digest = createHash('sha256').update(text, 'latin1').digest('hex');
  return text.slice(0, TEXT_LIMIT) + digest;
}

/** How an index entry writes a set value, or an unset one for null. */
export function indexValue(text: string | null): string {
  return text === null ? '2\0' : `1${bounded(text)}\0`;
}

/** What an index entry of an empty array has: present, and no element. */
export const EMPTY_ARRAY = '1';

/** Entries with exactly this value; null: entries of unset fields. */
export function equalRange(prefix: string, text: string | null): KeyRange {
  const low = prefix + indexValue(text);
  return { low, high: low + ABOVE };
}

/** Entries of fields that are set. */
export function presentRange(prefix: string): KeyRange {
  return { low: `${prefix}1`, high: `${prefix}2` };
}

/**
 * Entries between two values, both included, null for no bound. Values past
 * the limit make it a little wider than asked: whoever reads it checks.
 */
export function betweenRange(
  prefix: string,
  low: string | null,
  high: string | null,
): KeyRange {
  const whole = presentRange(prefix);
  return {
    low: low === null ? whole.low : `${prefix}1${low.slice(0, TEXT_LIMIT)}`,
    high:
      high === null
        ? whole.high
        : high.length > TEXT_LIMIT
          ? `${prefix}1${high.slice(0, TEXT_LIMIT)}${ABOVE}`
          : `${prefix}1${high}\0${ABOVE}`,
  };
}

/** Entries whose text starts so. */
export function startRange(prefix: string, start: string): KeyRange {
  const low = `${prefix}1${start.slice(0, TEXT_LIMIT)}`;
  return { low, high: low + ABOVE };
}
