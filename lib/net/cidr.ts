// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** IPv4 prefixes in CIDR form. Pure values. */

import { formatIpv4, type Ipv4, ipv4, parseIpv4 } from './ipv4.js';

/** A prefix; `base` has no host bits set. */
export interface Cidr {
  readonly base: Ipv4;
  /** Prefix length, 0 .. 32. */
  readonly bits: number;
}

/** The netmask of a prefix length as an address. */
export function netmask(bits: number): Ipv4 {
  return bits === 0 ? ipv4(0) : ipv4(0xffffffff << (32 - bits));
}

/**
 * Reads `a.b.c.d/n`.
 * @returns the prefix, or null when the text is not one or has host bits set
 */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  if (slash < 0) return null;
  const address = parseIpv4(text.slice(0, slash));
  const tail = text.slice(slash + 1);
  if (address === null || !/^\d{1,2}$/.test(tail)) return null;
  const bits = Number(tail);
  if (bits > 32 || ipv4(address & netmask(bits)) !== address) return null;
  return { base: address, bits };
}

/** Writes `a.b.c.d/n`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIpv4(cidr.base)}/${cidr.bits}`;
}

/** The prefix of the given length that covers an address. */
export function cidrOf(ip: Ipv4, bits: number): Cidr {
  return { base: ipv4(ip & netmask(bits)), bits };
}

/** Whether the prefix covers the address. */
export function contains(cidr: Cidr, ip: Ipv4): boolean {
  return ipv4(ip & netmask(cidr.bits)) === cidr.base;
}

/** The last address of the prefix (broadcast, for a subnet). */
export function lastAddress(cidr: Cidr): Ipv4 {
  return ipv4(cidr.base | ~netmask(cidr.bits));
}
