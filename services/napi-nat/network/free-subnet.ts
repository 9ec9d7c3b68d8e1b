// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Finding a /24 for a fabric network (facts: triton-napi 4.5). The private
 * ranges are one row of /24s, 10/8 first: a network has one slot of the row,
 * or several that follow each other. Pure.
 */

import { type Cidr, lastAddress, parseCidr } from '#lib/net/cidr.js';
import { ipv4 } from '#lib/net/ipv4.js';

/** First slot of each range, and how many it has. */
const RANGES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']
  .map((text) => parseCidr(text) as Cidr)
  .map((range, i, all) => ({
    range,
    count: slots(range),
    first: all.slice(0, i).reduce((sum, each) => sum + slots(each), 0),
  }));
const SLOTS = RANGES.reduce((sum, { count }) => sum + count, 0);

function slots({ bits }: Cidr): number {
  return 2 ** (24 - bits);
}

/** The slot that an address is in; null outside of the private ranges. */
function slotOf(address: number): number | null {
  for (const { range, count, first } of RANGES) {
    const slot = Math.floor((address - range.base) / 256);
    if (slot >= 0 && slot < count) return first + slot;
  }
  return null;
}

function subnetAt(slot: number): Cidr {
  const found = RANGES.find(({ first, count }) => slot < first + count);
  if (found === undefined) throw new RangeError(`no slot ${slot}`);
  const base = ipv4(found.range.base + (slot - found.first) * 256);
  return { base, bits: 24 };
}

/**
 * The first gap after a subnet, else the slot below the first, else the one
 * above the last.
 * @param taken subnets of the vnet, in any order, as CIDR text
 * @returns null when there is none
 */
export function freeSubnet(taken: readonly string[]): Cidr | null {
  const spans = taken
    .map((text) => parseCidr(text))
    .filter((subnet) => subnet !== null)
    .map((subnet) => ({
      start: slotOf(subnet.base),
      end: slotOf(lastAddress(subnet)),
    }))
    .filter((span) => span.start !== null && span.end !== null) as {
    start: number;
    end: number;
  }[];
  spans.sort((a, b) => a.start - b.start);
  const [lowest] = spans;
  if (lowest === undefined) return subnetAt(0);
  let last = lowest.end;
  for (const { start, end } of spans) {
    if (start > last + 1) return subnetAt(last + 1);
    last = Math.max(last, end);
  }
  if (lowest.start > 0) return subnetAt(lowest.start - 1);
  return last + 1 < SLOTS ? subnetAt(last + 1) : null;
}
