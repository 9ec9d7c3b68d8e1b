// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * IPv4 addresses as unsigned 32-bit numbers inside a program and dotted quads
 * at its edges. Pure values: no imports.
 */

declare const brand: unique symbol;
/** An IPv4 address in host order, 0 .. 2^32-1. */
export type Ipv4 = number & { readonly [brand]: 'Ipv4' };

const QUAD = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/**
 * Reads a dotted quad.
 * @returns the address, or null when `text` is not one (leading zeros in an
 *   octet are refused: some readers take them as octal)
 */
export function parseIpv4(text: string): Ipv4 | null {
  const match = QUAD.exec(text);
  if (match === null) return null;
  let value = 0;
  for (let i = 1; i <= 4; i++) {
    const octet = match[i] as string;
    if (octet.length > 1 && octet.startsWith('0')) return null;
    const number = Number(octet);
    if (number > 255) return null;
    value = value * 256 + number;
  }
  return value as Ipv4;
}

/** Takes a number known to be an address, wrapping it to 32 bits. */
export function ipv4(value: number): Ipv4 {
  return (value >>> 0) as Ipv4;
}

/** Writes a dotted quad. */
export function formatIpv4(ip: Ipv4): string {
  return [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join('.');
}

/**
 * The text that portolan's buckets use for an IPv4 address: what ipaddr.js
 * prints for its v4-mapped form, such as `::ffff:a04:501` for 10.4.5.1
 * (facts: svp-portolan-vxlnat 2.2).
 */
export function formatMapped(ip: Ipv4): string {
  const high = (ip >>> 16).toString(16);
  const low = (ip & 0xffff).toString(16);
  return `::ffff:${high}:${low}`;
}

/** Reads the text that `formatMapped` writes; null when it is not that. */
export function parseMapped(text: string): Ipv4 | null {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (match === null) return null;
  const high = Number.parseInt(match[1] as string, 16);
  const low = Number.parseInt(match[2] as string, 16);
  return ipv4(high * 65536 + low);
}
