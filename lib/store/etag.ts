// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Etags and the condition on them (facts: triton-napi 9.2): CRC32 of the JSON
 * text, so identical content has an identical etag.
 */

import { crc32 } from 'node:zlib';
import { type EtagCondition, StoreError } from './types.js';

/** @returns 8 hex digits for an object's JSON text */
export function etagOf(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}

/** The etag that all objects hit by the `count`th update share. */
export function updateEtag(count: number): string {
  return `u${(count % 2 ** 28).toString(16).padStart(7, '0')}`;
}

/** The count that `updateEtag` was given, as far as an etag tells; or 0. */
export function updatesBefore(etag: string): number {
  return etag.startsWith('u') ? Number.parseInt(etag.slice(1), 16) : 0;
}

/**
 * Compares a condition with what is there.
 * @param actual the current etag, null when the object does not exist
 * @throws StoreError EtagConflictError naming bucket, key, expected, actual
 */
export function checkEtag(
  bucket: string,
  key: string,
  expected: EtagCondition,
  actual: string | null,
): void {
  if (expected === undefined || expected === actual) return;
  const context = {
    bucket,
    key,
    expected: String(expected),
    actual: String(actual),
  };
  throw new StoreError(
    'EtagConflictError',
    `${bucket}::${key} has etag "${context.actual}"; ` +
      `expected "${context.expected}"`,
    context,
  );
}
