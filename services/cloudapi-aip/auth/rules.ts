// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Rules of roles, in the language of Triton's policies (Aperture): `CAN
 * listaips and getaip`. mahi gives each rule parsed; an account file may give
 * the text of a rule without conditions. Whatever is not understood allows
 * nothing. Pure.
 *
 * A policy is its account's own text: its patterns are only taken where they
 * are names with wildcards, since any other could keep this process busy for
 * as long as its author likes.
 */

import { contains, parseCidr } from '#lib/net/cidr.js';
import { parseIpv4 } from '#lib/net/ipv4.js';

/** Some names, or all (1), or none said. */
type Names =
  | { exact: Record<string, unknown> | string[]; regex: string[] }
  | 1
  | undefined;

/** A rule as Aperture's parser gives it. */
export interface Rule {
  principals?: Names;
  effect: boolean;
  actions: Names;
  resources?: Names;
  conditions?: unknown;
}

/** What is asked for. */
export interface Wanted {
  action: string;
  /** Path, such as `/alice/aips`. */
  resource: string;
  /** Facts of the request by name, such as `sourceip`. */
  conditions: Record<string, unknown>;
}

const SAFE_PATTERN = /^\/(\^?)((?:[\w/:@-]|\\.|\.\*)*)(\$?)\/(i?)$/;

function matches(pattern: string, text: string): boolean {
  const parts = SAFE_PATTERN.exec(pattern);
  if (parts === null) return false;
  const [, start = '', body = '', end = '', flags = ''] = parts;
  return new RegExp(start + body + end, flags).test(text);
}

function has(names: Names, name: string): boolean {
  if (names === undefined || names === null || names === 1) return true;
  const { exact = {}, regex = [] } = names;
  const isExact = Array.isArray(exact)
    ? exact.includes(name)
    : Object.hasOwn(exact, name);
  return isExact || regex.some((pattern) => matches(pattern, name));
}

/** Whether the rule itself says on what it may be done. */
export function namesResources({ resources }: Rule): boolean {
  if (resources === 1) return true;
  if (typeof resources !== 'object' || resources === null) return false;
  const { exact = {}, regex = [] } = resources;
  return Object.keys(exact).length > 0 || regex.length > 0;
}

/** Whether the rule allows what is asked for. */
export function allows(rule: Rule, wanted: Wanted): boolean {
  try {
    return (
      rule.effect === true &&
      rule.principals === undefined &&
      has(rule.actions, wanted.action) &&
      has(rule.resources, wanted.resource) &&
      (isNone(rule.conditions) || holds(rule.conditions, wanted.conditions))
    );
  } catch {
    return false;
  }
}

function isNone(conditions: unknown): boolean {
  return (
    conditions === undefined ||
    conditions === null ||
    (Array.isArray(conditions) && conditions.length === 0)
  );
}

/** Types of the facts that CloudAPI knows (facts: cloudapi 1.6). */
const TYPES: Record<string, string> = {
  date: 'date',
  day: 'day',
  time: 'time',
  'user-agent': 'string',
  sourceip: 'ip',
  method: 'string',
  datacenter: 'string',
};

class NotUnderstood extends Error {}

/** @throws NotUnderstood for a condition that cannot be judged */
function holds(condition: unknown, facts: Record<string, unknown>): boolean {
  const [op, left, right] = condition as [string, unknown, unknown];
  if (op === 'and') return holds(left, facts) && holds(right, facts);
  if (op === 'or') return holds(left, facts) || holds(right, facts);
  if (op === 'not') return !holds(left, facts);
  if (op === 'in') {
    return (right as unknown[]).some((each) => holds(['=', left, each], facts));
  }
  const { name, type = TYPES[name] } = left as { name: string; type?: string };
  const fact = Object.hasOwn(facts, name) ? facts[name] : undefined;
  if (fact === undefined || fact === null || typeof right !== 'string') {
    throw new NotUnderstood(name);
  }
  return compared(String(type), op, fact, right);
}

function compared(
  type: string,
  op: string,
  fact: unknown,
  said: string,
): boolean {
  if (type === 'ip') return op === '=' && sameIp(String(fact), said);
  if (type === 'string' && op === 'like') return matches(said, String(fact));
  if (type === 'string') return ordered(op, String(fact), said);
  const [a, b] = [comparable(type, fact), comparable(type, said)];
  if (Number.isNaN(a) || Number.isNaN(b)) throw new NotUnderstood(said);
  return ordered(op, a, b);
}

function ordered<T extends string | number>(op: string, a: T, b: T): boolean {
  if (op === '=') return a === b;
  if (op === '<') return a < b;
  if (op === '>') return a > b;
  if (op === '<=') return a <= b;
  if (op === '>=') return a >= b;
  throw new NotUnderstood(op);
}

function sameIp(fact: string, said: string): boolean {
  const ip = parseIpv4(fact.replace(/^::ffff:/, ''));
  const prefix = parseCidr(said.includes('/') ? said : `${said}/32`);
  if (ip === null || prefix === null) throw new NotUnderstood(said);
  return contains(prefix, ip);
}

/** A number to compare by; UTC throughout, Monday is 1. */
function comparable(type: string, value: unknown): number {
  const text = String(value);
  const clock = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text);
  const date = value instanceof Date ? value : new Date(text);
  switch (type) {
    case 'number':
      return Number(value);
    case 'date':
      return date.getTime();
    case 'day':
      return /^[1-7]$/.test(text) ? Number(text) : date.getUTCDay() || 7;
    case 'time':
      return clock === null
        ? (date.getTime() / 1000) % 86_400
        : Number(clock[1]) * 3600 +
            Number(clock[2]) * 60 +
            Number(clock[3] ?? 0);
    default:
      throw new NotUnderstood(type);
  }
}

/**
 * Reads the text of a rule: `CAN <actions>`, or `CAN *`.
 * @returns null for anything else, such as a rule with conditions
 */
export function parseRule(text: string): Rule | null {
  const match = /^\s*can\s+(\S.*?)\s*$/i.exec(text);
  if (match === null) return null;
  const list = (match[1] as string).split(/\s*,\s*(?:and\s+)?|\s+and\s+/i);
  if (list.length === 1 && /^(\*|all|everything|anything)$/i.test(`${list[0]}`))
    return { effect: true, actions: 1 };
  if (!list.every((name) => /^[a-z]\w*$/i.test(name))) return null;
  const exact = Object.fromEntries(
    list.map((name) => [name.toLowerCase(), true]),
  );
  return { effect: true, actions: { exact, regex: [] } };
}

/** A role's rule in either form; null for one that is not understood. */
export function ruleOf(given: string | [string, unknown]): Rule | null {
  if (typeof given === 'string') return parseRule(given);
  const parsed = given[1] as Rule | null;
  return typeof parsed === 'object' ? parsed : null;
}
