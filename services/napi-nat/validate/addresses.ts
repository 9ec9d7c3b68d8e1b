// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Checks of addresses, with NAPI's messages (facts: triton-napi 1.3). Both
 * families, except where an address is a NIC's. Values are canonical text.
 */

import {
  formatIp,
  formatIpPrefix,
  type IpPrefix,
  parseIp,
  parseIpPrefix,
  width,
} from '#lib/net/ip.js';
import { type Mac, parseMac, mac as toMac } from '#lib/net/mac.js';
import { type Check, Fault } from './params.js';

const MAX_IP = 0xffffffff;
const MAX_MAC = 0xffffffffffff;
const MIN_BITS = 8;
/** A next hop that stands for the NIC itself. */
const LINK_LOCAL = 'linklocal';
const MIXED_ROUTE = 'address family of route and next-hop address should match';

/** Reads an address; digits alone are an integer address, as in ip6addr. */
export function readIp(value: unknown): string | null {
  const digits = typeof value === 'string' && /^\d{1,10}$/.test(value);
  if (typeof value === 'number' || digits) {
    const number = Number(value);
    const good = Number.isInteger(number) && number >= 0 && number <= MAX_IP;
    return good ? formatIp({ family: 'ipv4', value: BigInt(number) }) : null;
  }
  const parsed = typeof value === 'string' ? parseIp(value.trim()) : null;
  return parsed === null ? null : formatIp(parsed);
}

export const ip: Check<string> = (value) =>
  readIp(value) ?? new Fault('invalid IP address');

/** A NIC's own address. */
export const nicIp: Check<string> = (value) => {
  const text = ip(value);
  return typeof text === 'string' && text.includes(':')
    ? new Fault('Specified address must be IPv4')
    : text;
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
  const wrong = given.filter(
    (item) => typeof item !== 'string' || readIp(item) === null,
  );
  if (wrong.length > 0) {
    const message = wrong.length === 1 ? 'invalid IP' : 'invalid IPs';
    return new Fault(message, { invalid: wrong });
  }
  return given.map((item) => readIp(item) as string);
};

export const subnet: Check<IpPrefix> = (value) => {
  if (typeof value !== 'string') return new Fault('must be a string');
  const [address, bits, ...rest] = value.split('/');
  if (address === undefined || bits === undefined || rest.length > 0) {
    return new Fault('Subnet must be in CIDR form');
  }
  const base = parseIp(address);
  if (base === null) return new Fault('Subnet IP invalid');
  const length = /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (length < MIN_BITS || length > width(base.family)) {
    return new Fault('Subnet bits invalid');
  }
  return parseIpPrefix(value) ?? new Fault('invalid CIDR format');
};

export const mac: Check<Mac> = (value) => {
  if (typeof value === 'number') {
    const good = Number.isInteger(value) && value >= 0 && value <= MAX_MAC;
    return good ? toMac(value) : new Fault('invalid MAC address');
  }
  const parsed = typeof value === 'string' ? parseMac(value) : null;
  return parsed ?? new Fault('invalid MAC address');
};

/** MACs as an array or as comma-separated text. */
export const macArray: Check<Mac[]> = (value) => {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) return new Fault('must be an array of strings');
  const wrong = list.filter((item) => mac(item) instanceof Fault);
  if (wrong.length > 0) {
    const message =
      wrong.length === 1 ? 'invalid MAC address' : 'invalid MAC addresses';
    return new Fault(message, { invalid: wrong });
  }
  return [...new Set(list.map((item) => mac(item) as Mac))];
};

type Routes = Record<string, string>;

/**
 * Destinations (address or prefix) with their next hops.
 * @param linkLocal whether a hop may be the word `linklocal`
 */
export function routes(linkLocal: boolean): Check<Routes> {
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return new Fault('must be an object');
    }
    const good: Routes = {};
    const wrong: unknown[][] = [];
    for (const [to, via] of Object.entries(value)) {
      const destination = readDestination(to);
      const word = linkLocal && via === LINK_LOCAL;
      const hop = word ? LINK_LOCAL : readIp(via);
      if (destination === null || hop === null) {
        wrong.push([
          ...(destination === null ? [to] : []),
          ...(hop === null ? [via] : []),
        ]);
        continue;
      }
      if (!word && destination.includes(':') !== hop.includes(':')) {
        return new Fault(MIXED_ROUTE, { invalid: [destination, hop] });
      }
      good[destination] = hop;
    }
    if (wrong.length === 0) return good;
    const message = wrong.length === 1 ? 'invalid route' : 'invalid routes';
    return new Fault(message, { invalid: wrong.flat() });
  };
}

function readDestination(text: string): string | null {
  if (!text.includes('/')) return readIp(text);
  const prefix = parseIpPrefix(text);
  return prefix === null ? null : formatIpPrefix(prefix);
}
