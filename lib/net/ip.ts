// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Addresses and prefixes of both families, for what only records and compares
 * them. The data plane is IPv4 and has ipv4.ts and cidr.ts. An IPv4-mapped
 * IPv6 address is the IPv4 address. Pure values.
 */

import { formatIpv4, ipv4, parseIpv4 } from './ipv4.js';

export type Family = 'ipv4' | 'ipv6';

export interface Ip {
  readonly family: Family;
  readonly value: bigint;
}

/** A prefix; `base` has no host bits set. */
export interface IpPrefix {
  readonly base: Ip;
  readonly bits: number;
}

/** Bits of an address of the family. */
export function width(family: Family): number {
  return family === 'ipv4' ? 32 : 128;
}

/** Reads a dotted quad or IPv6 text; null when it is neither. */
export function parseIp(text: string): Ip | null {
  const four = parseIpv4(text);
  if (four !== null) return { family: 'ipv4', value: BigInt(four) };
  const six = parseIpv6(text);
  if (six === null) return null;
  return six >> 32n === 0xffffn
    ? { family: 'ipv4', value: six & 0xffffffffn }
    : { family: 'ipv6', value: six };
}

/** The number of an IPv6 address (RFC 4291 section 2.2); null for others. */
export function parseIpv6(text: string): bigint | null {
  const parts = plainGroups(text)?.split('::') ?? [];
  const [left, right = []] = parts.map((part) =>
    part === '' ? [] : part.split(':'),
  );
  if (left === undefined || parts.length > 2) return null;
  const missing = 8 - left.length - right.length;
  if (parts.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...left, ...Array(missing).fill('0'), ...right] as string[];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`);
}

/** The text with a dotted quad at its end written as two groups. */
function plainGroups(text: string): string | null {
  const quad = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (quad === null) return text;
  const low = parseIpv4(quad[2] as string);
  if (low === null) return null;
  return `${quad[1]}${(low >>> 16).toString(16)}:${(low & 0xffff).toString(16)}`;
}

/** The canonical text; of IPv6 that of RFC 5952. */
export function formatIp({ family, value }: Ip): string {
  if (family === 'ipv4') return formatIpv4(ipv4(Number(value)));
  const digits = value.toString(16).padStart(32, '0');
  const groups = (digits.match(/..../g) as string[]).map((group) =>
    Number.parseInt(group, 16).toString(16),
  );
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return groups.join(':');
  const left = groups.slice(0, zeros.start).join(':');
  const right = groups.slice(zeros.start + zeros.length).join(':');
  return `${left}::${right}`;
}

/** The first of the longest runs of zero groups (RFC 5952 section 4.2.3). */
function longestZeros(groups: string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === '0') end += 1;
    if (end - start > best.length) best = { start, length: end - start };
    if (end > start) start = end;
  }
  return best;
}

/** The address `count` further on; null where the family has none. */
export function stepped(ip: Ip, count: number): Ip | null {
  const value = ip.value + BigInt(count);
  const inside = value >= 0n && value >> BigInt(width(ip.family)) === 0n;
  return inside ? { family: ip.family, value } : null;
}

function hostMask({ base, bits }: IpPrefix): bigint {
  return (1n << BigInt(width(base.family) - bits)) - 1n;
}

/**
 * Reads `address/bits`.
 * @returns the prefix, or null when the text is not one or has host bits set
 */
export function parseIpPrefix(text: string): IpPrefix | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const base = match === null ? null : parseIp(match[1] as string);
  if (match === null || base === null) return null;
  const bits = Number(match[2]);
  if (bits > width(base.family)) return null;
  const prefix = { base, bits };
  return (base.value & hostMask(prefix)) === 0n ? prefix : null;
}

/** Writes `address/bits`. */
export function formatIpPrefix({ base, bits }: IpPrefix): string {
  return `${formatIp(base)}/${bits}`;
}

/** Whether the prefix has the address. */
export function holds(prefix: IpPrefix, ip: Ip): boolean {
  return (
    prefix.base.family === ip.family &&
    prefix.base.value === (ip.value & ~hostMask(prefix))
  );
}

/** Whether `outer` has all of `inner`. */
export function covers(outer: IpPrefix, inner: IpPrefix): boolean {
  return outer.bits <= inner.bits && holds(outer, inner.base);
}

/** The last address of the prefix: of an IPv4 subnet, its broadcast. */
export function lastIp(prefix: IpPrefix): Ip {
  const { family, value } = prefix.base;
  return { family, value: value | hostMask(prefix) };
}
