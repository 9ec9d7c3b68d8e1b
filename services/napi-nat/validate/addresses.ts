// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Checks of addresses, with NAPI's messages (facts: triton-napi 1.3). IPv4
 * only: an IPv6 address is refused by name, never misread.
 */

import { type Cidr, formatCidr, parseCidr } from '#lib/net/cidr.js';
import { formatIpv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac, mac as toMac } from '#lib/net/mac.js';
import { type Check, Fault } from './params.js';

const MAX_IP = 0xffffffff;
const MAX_MAC = 0xffffffffffff;

/** Reads an address; digits alone are an integer address, as in ip6addr. */
export function readIp(value: unknown): string | null {
  const digits = typeof value === 'string' && /^\d{1,10}$/.test(value);
  if (typeof value === 'number' || digits) {
    const number = Number(value);
    const good = Number.isInteger(number) && number >= 0 && number <= MAX_IP;
    return good ? formatIpv4(ipv4(number)) : null;
  }
  const parsed = typeof value === 'string' ? parseIpv4(value.trim()) : null;
  return parsed === null ? null : formatIpv4(parsed);
}

export const ip: Check<string> = (value) =>
  readIp(value) ?? new Fault('invalid IP address');

/** A NIC's own address. */
export const nicIp: Check<string> = (value) => {
  if (typeof value === 'string' && /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(value)) {
    return new Fault('Specified address must be IPv4');
  }
  return ip(value);
};

/** A gateway: null or "" means none. */
export const gateway: Check<string | null> = (value) =>
  value === null || value === '' ? null : ip(value);

export const ipArray: Check<string[]> = (value) => {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) return new Fault('must be an array of strings');
  const given = list.filter(
    (item) => typeof item !== 'string' || item.trim() !== '',
  );
  const wrong = given.filter((item) => readIp(item) === null);
  if (wrong.length > 0) {
    const message = wrong.length === 1 ? 'invalid IP' : 'invalid IPs';
    return new Fault(message, { invalid: wrong });
  }
  return given.map((item) => readIp(item) as string);
};

export const subnet: Check<Cidr> = (value) => {
  if (typeof value !== 'string') return new Fault('must be a string');
  const [address, bits, ...rest] = value.split('/');
  if (address === undefined || bits === undefined || rest.length > 0) {
    return new Fault('Subnet must be in CIDR form');
  }
  if (address.includes(':')) {
    return new Fault('only IPv4 subnets are supported');
  }
  if (parseIpv4(address) === null) return new Fault('Subnet IP invalid');
  if (!/^\d{1,2}$/.test(bits) || Number(bits) < 8 || Number(bits) > 32) {
    return new Fault('Subnet bits invalid');
  }
  return parseCidr(value) ?? new Fault('invalid CIDR format');
};

export const mac: Check<Mac> = (value) => {
  if (typeof value === 'number') {
    const good = Number.isInteger(value) && value >= 0 && value <= MAX_MAC;
    return good ? toMac(value) : new Fault('invalid MAC address');
  }
  const parsed = typeof value === 'string' ? parseMac(value) : null;
  return parsed ?? new Fault('invalid MAC address');
};

/** Destinations (address or prefix) with their next hops. */
export const routes: Check<Record<string, string>> = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Fault('must be an object');
  }
  const good: Record<string, string> = {};
  const wrong: unknown[] = [];
  for (const [to, via] of Object.entries(value)) {
    const destination = readDestination(to);
    const hop = readIp(via);
    if (destination === null || hop === null) wrong.push(to, via);
    else good[destination] = hop;
  }
  if (wrong.length === 0) return good;
  const message = wrong.length === 2 ? 'invalid route' : 'invalid routes';
  return new Fault(message, { invalid: wrong });
};

function readDestination(text: string): string | null {
  if (!text.includes('/')) return readIp(text);
  const cidr = parseCidr(text);
  return cidr === null ? null : formatCidr(cidr);
}
