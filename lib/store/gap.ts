// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The lowest addresses that no object has (facts: triton-napi 8, step 1),
 * found by walking an `ip` index from where the search begins.
 */

import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { encodeAddress } from './address.js';
import { type Bucket, indexOn } from './bucket.js';
import { betweenRange, indexPrefix } from './keys.js';
import type { Reader } from './reader.js';
import { type Gap, StoreError } from './types.js';

const GAP_LIMIT = 50;

/**
 * @param from the search begins after this address, in host order
 * @param to and ends before this one
 * @throws StoreError NotIndexedError unless the field is an `ip` index
 */
export async function findGap(
  reader: Reader,
  bucket: Bucket,
  field: string,
  from: number,
  to: number,
): Promise<Gap | null> {
  const spec = indexOn(bucket, field);
  const waiting = bucket.reindex?.fields.includes(field) ?? false;
  if (spec?.type !== 'ip' || waiting) {
    throw new StoreError(
      'NotIndexedError',
      `${bucket.name} has no ip index on "${field}"`,
      { bucket: bucket.name, field },
    );
  }
  const gap = (start: number, end: number): Gap | null =>
    end > start ? { start, length: Math.min(end - start, GAP_LIMIT) } : null;
  let free = from + 1;
  if (free >= to) return null;
  const prefix = indexPrefix(bucket.id, spec.number);
  const range = betweenRange(prefix, order(free), order(to - 1));
  // Most searches end soon; the pages grow for those that do not.
  for (let low: string | null = range.low, size = 64; low !== null; ) {
    const page = await reader.page({ low, high: range.high }, size);
    for (const [key] of page.entries) {
      const used = addressOf(key, prefix);
      if (used > free) return gap(free, used);
      free = used + 1;
    }
    low = page.next;
    size = 1024;
  }
  return gap(free, to);
}

function order(address: number): string {
  return encodeAddress(formatIpv4(ipv4(address))) as string;
}

/** The address in an index key: after the prefix, `1`, and the family. */
function addressOf(key: string, prefix: string): number {
  const at = prefix.length + 2;
  return Number.parseInt(key.slice(at, at + 8), 16);
}
