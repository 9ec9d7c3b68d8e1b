// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Addresses and prefixes of both families as text whose order is numeric:
 * `4` and 8 digits, or `6` and 32. An IPv4-mapped IPv6 address is the IPv4
 * address. Pure values.
 */

import { parseIp, width as widthOf } from '#lib/net/ip.js';

/** A prefix: its digits with host bits cleared, and its length. */
export interface Prefix {
  /** The address as `encodeAddress` writes it. */
  readonly base: string;
  readonly bits: number;
}

/**
 * @param value dotted quad, IPv6 text, or an IPv4 address in host order
 * @returns ordered text, or null when it is no address
 */
export function encodeAddress(value: unknown): string | null {
  if (typeof value === 'number') {
    const fits = Number.isInteger(value) && value >= 0 && value < 2 ** 32;
    return fits ? `4${value.toString(16).padStart(8, '0')}` : null;
  }
  if (typeof value !== 'string') return null;
  const ip = parseIp(value);
  if (ip === null) return null;
  const digits = ip.value.toString(16).padStart(widthOf(ip.family) / 4, '0');
  return (ip.family === 'ipv4' ? '4' : '6') + digits;
}

/**
 * Reads `address/bits`; host bits are cleared.
 * @returns the prefix, or null when it is none
 */
export function parsePrefix(value: unknown): Prefix | null {
  if (typeof value !== 'string') return null;
  const match = /^([^/]+)\/(\d{1,3})$/.exec(value);
  const address = match === null ? null : encodeAddress(match[1]);
  if (match === null || address === null) return null;
  const bits = Number(match[2]);
  return bits > width(address) ? null : truncate(address, bits);
}

/** Bits of the family that encoded text belongs to. */
export function width(address: string): number {
  return address.startsWith('4') ? 32 : 128;
}

/** The prefix of a length that covers an address. */
export function truncate(address: string, bits: number): Prefix {
  const total = width(address);
  const value = BigInt(`0x${address.slice(1)}`);
  const shift = BigInt(total - bits);
  const base = ((value >> shift) << shift).toString(16);
  return { base: address.charAt(0) + base.padStart(total / 4, '0'), bits };
}

/** The last address of a prefix, encoded. */
export function lastOf(prefix: Prefix): string {
  const total = width(prefix.base);
  const host = (1n << BigInt(total - prefix.bits)) - 1n;
  const last = (BigInt(`0x${prefix.base.slice(1)}`) | host).toString(16);
  return prefix.base.charAt(0) + last.padStart(total / 4, '0');
}

/** Ordered text of a prefix: by address, the shorter length first. */
export function encodePrefix(prefix: Prefix): string {
  return prefix.base + prefix.bits.toString(16).padStart(2, '0');
}

/** Whether `outer` covers all of `inner`. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return (
    outer.base.charAt(0) === inner.base.charAt(0) &&
    outer.bits <= inner.bits &&
    truncate(inner.base, outer.bits).base === outer.base
  );
}
