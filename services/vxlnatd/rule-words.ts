// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The `KEY=VALUE` words of the rules file: options of a `map` line and the
 * limits of a `limit` line. Pure; a fault is an Error whose message says what
 * is wrong.
 */

import type { Limits, RuleOptions } from '#lib/model/rule-options.js';
import { formatCidr, parseCidr } from '#lib/net/cidr.js';
import { formatIpv4, parseIpv4 } from '#lib/net/ipv4.js';

/** A fault before it is known in which line it is. */
export class Fault extends Error {}

const MODES = [
  'endpoint-dependent',
  'endpoint-independent',
  'deterministic',
] as const;

const TIMERS = [
  'tcp_established',
  'tcp_opening',
  'tcp_closing',
  'udp',
  'icmp',
  'quarantine',
] as const;

const LIMITS: Readonly<Record<string, keyof Limits>> = {
  flows: 'flows',
  opening: 'opening',
  rate: 'per_second',
};

function whole(key: string, text: string, low: number, high: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) {
    throw new Fault(
      `${key} "${text}" is not a whole number from ${low} to ${high}`,
    );
  }
  return value;
}

/** Two numbers with a sign between them. */
function pair(key: string, text: string, sign: string): [string, string] {
  const parts = text.split(sign);
  if (parts.length !== 2) {
    throw new Fault(`${key} "${text}" is not of the form A${sign}B`);
  }
  return parts as [string, string];
}

function addresses(key: string, text: string): string[] {
  return text.split(',').map((each) => {
    const ip = parseIpv4(each);
    if (ip === null) throw new Fault(`${key} "${each}" is not an IPv4 address`);
    return formatIpv4(ip);
  });
}

function prefixes(key: string, text: string): string[] {
  return text.split(',').map((each) => {
    const cidr = parseCidr(each);
    if (cidr === null) throw new Fault(`${key} "${each}" is not a prefix`);
    return formatCidr(cidr);
  });
}

function portRange(text: string): RuleOptions {
  const [low, high] = pair('ports', text, '-');
  const port_low = whole('ports', low, 1, 65535);
  return { port_low, port_high: whole('ports', high, port_low, 65535) };
}

function slice(text: string): RuleOptions {
  const [which, of] = pair('slice', text, '/');
  const slices = whole('slice', of, 1, 64512);
  return { slice: whole('slice', which, 0, slices - 1), slices };
}

function mode(text: string): RuleOptions {
  const mapping = MODES.find((each) => each === text);
  if (mapping === undefined) {
    throw new Fault(`mode "${text}" is not one of ${MODES.join(', ')}`);
  }
  return { mapping };
}

function block(text: string): RuleOptions {
  const block_size = whole('block', text, 64, 1024);
  if ((block_size & (block_size - 1)) !== 0) {
    throw new Fault(`block "${text}" is not 64, 128, 256, 512 or 1024`);
  }
  return { block_size };
}

const READERS: Readonly<Record<string, (text: string) => RuleOptions>> = {
  pool: (text) => ({ more_public_ips: addresses('pool', text) }),
  mode,
  ports: portRange,
  slice,
  exempt: (text) => ({ exempt: prefixes('exempt', text) }),
  mss: (text) => ({ mss: whole('mss', text, 536, 65535) }),
  block,
};

function oneOption(options: RuleOptions, key: string, value: string): void {
  const timer = TIMERS.find((each) => key === `timer.${each}`);
  if (timer !== undefined) {
    const low = timer === 'quarantine' ? 0 : 1;
    options.timers = {
      ...options.timers,
      [timer]: whole(key, value, low, 2_592_000) * 1000,
    };
    return;
  }
  const limit = key.startsWith('host.') ? LIMITS[key.slice(5)] : undefined;
  if (limit !== undefined) {
    options.host = {
      ...options.host,
      [limit]: whole(key, value, 1, 1 << 27),
    };
    return;
  }
  if (!Object.hasOwn(READERS, key)) throw new Fault(`unknown option "${key}"`);
  Object.assign(options, READERS[key]?.(value));
}

/** Splits words at their first `=`, each key once. */
function keyed(words: string[]): [string, string][] {
  const seen = new Set<string>();
  return words.map((word) => {
    const at = word.indexOf('=');
    const key = word.slice(0, at);
    if (seen.has(key)) throw new Fault(`option "${key}" is given twice`);
    seen.add(key);
    return [key, word.slice(at + 1)];
  });
}

/** The options of a `map` line; undefined when there are none. */
export function ruleOptions(words: string[]): RuleOptions | undefined {
  if (words.length === 0) return undefined;
  const options: RuleOptions = {};
  for (const [key, value] of keyed(words)) oneOption(options, key, value);
  return options;
}

/** The limits of a `limit` line. */
export function limitWords(words: string[]): Limits {
  const limits: Limits = { flows: 0, opening: 0, per_second: 0 };
  for (const [key, value] of keyed(words)) {
    const limit = Object.hasOwn(LIMITS, key) ? LIMITS[key] : undefined;
    if (limit === undefined) throw new Fault(`unknown limit "${key}"`);
    limits[limit] = whole(key, value, 1, 1 << 27);
  }
  return limits;
}
