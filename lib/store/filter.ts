// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Reads moray's filter language (facts: triton-napi 9.2), which is LDAP's with
 * two ways to escape: a backslash and two hex digits (RFC 4515), or a
 * backslash and the character itself.
 */

import { StoreError } from './types.js';

export type Filter =
  | { kind: 'and' | 'or'; terms: Filter[] }
  | { kind: 'not'; term: Filter }
  | { kind: 'eq' | 'ge' | 'le'; field: string; value: string }
  | { kind: 'present'; field: string }
  | { kind: 'substring'; field: string; parts: string[] }
  | { kind: 'ext'; field: string; rule: string; value: string };

/** Rules that the extended form can name, in the spelling they are kept. */
const RULES = [
  'caseIgnoreMatch',
  'caseIgnoreSubstringsMatch',
  'overlaps',
  'contains',
  'within',
];
const MAX_DEPTH = 64;
const MAX_LENGTH = 1_000_000;

/** The text, how far it is read, and how deep in parentheses. */
interface Cursor {
  readonly text: string;
  at: number;
  depth: number;
}

/**
 * @param text a filter; the outermost parentheses may be missing
 * @throws StoreError InvalidQueryError saying what is wrong and where
 */
export function parseFilter(text: string): Filter {
  if (typeof text !== 'string' || text.length > MAX_LENGTH) {
    throw invalid('a filter must be text of reasonable length', '');
  }
  const trimmed = text.trim();
  const whole = trimmed.startsWith('(') ? trimmed : `(${trimmed})`;
  const cursor: Cursor = { text: whole, at: 0, depth: 0 };
  const filter = parseTerm(cursor);
  skipSpace(cursor);
  if (cursor.at !== whole.length) {
    throw invalid(`unexpected text at ${cursor.at}`, whole);
  }
  return filter;
}

function invalid(why: string, filter: string): StoreError {
  return new StoreError('InvalidQueryError', `invalid filter: ${why}`, {
    filter: filter.slice(0, 200),
  });
}

function skipSpace(cursor: Cursor): void {
  while (/\s/.test(cursor.text.charAt(cursor.at))) cursor.at += 1;
}

function expect(cursor: Cursor, char: string): void {
  skipSpace(cursor);
  if (cursor.text.charAt(cursor.at) !== char) {
    throw invalid(`"${char}" expected at ${cursor.at}`, cursor.text);
  }
  cursor.at += 1;
}

function parseTerm(cursor: Cursor): Filter {
  cursor.depth += 1;
  if (cursor.depth > MAX_DEPTH) throw invalid('too deep', cursor.text);
  expect(cursor, '(');
  skipSpace(cursor);
  const filter = parseInside(cursor);
  expect(cursor, ')');
  cursor.depth -= 1;
  return filter;
}

function parseInside(cursor: Cursor): Filter {
  const first = cursor.text.charAt(cursor.at);
  if (first === '(') return parseTerm(cursor);
  if (first === '!') {
    cursor.at += 1;
    return { kind: 'not', term: parseTerm(cursor) };
  }
  if (first === '&' || first === '|') {
    cursor.at += 1;
    const terms: Filter[] = [];
    for (skipSpace(cursor); cursor.text.charAt(cursor.at) === '('; ) {
      terms.push(parseTerm(cursor));
      skipSpace(cursor);
    }
    if (terms.length === 0) {
      throw invalid(`"${first}" needs a term`, cursor.text);
    }
    return { kind: first === '&' ? 'and' : 'or', terms };
  }
  return parseComparison(cursor);
}

function parseComparison(cursor: Cursor): Filter {
  const rest = cursor.text.slice(cursor.at, cursor.at + 300);
  const head = /^([\w.-]+)(?::([\w.]+):|([<>~]))?=/.exec(rest);
  if (head === null) {
    throw invalid(`a comparison is expected at ${cursor.at}`, cursor.text);
  }
  const [matched, field = '', rule, sign] = head;
  cursor.at += matched.length;
  const parts = parseValue(cursor);
  const only = parts.length === 1 ? (parts[0] as string) : null;
  if (sign === '~') {
    throw invalid('approximate match is not supported', cursor.text);
  }
  if (rule !== undefined) return extended(field, rule, parts, cursor.text);
  if (sign !== undefined) {
    if (only === null) throw invalid('"*" in a comparison', cursor.text);
    return { kind: sign === '>' ? 'ge' : 'le', field, value: only };
  }
  if (only !== null) return { kind: 'eq', field, value: only };
  return parts.every((part) => part === '')
    ? { kind: 'present', field }
    : { kind: 'substring', field, parts };
}

function extended(
  field: string,
  name: string,
  parts: string[],
  text: string,
): Filter {
  const rule = RULES.find((known) => known === name);
  if (rule === undefined) {
    throw invalid(`unknown matching rule "${name}"`, text);
  }
  if (rule === 'caseIgnoreSubstringsMatch') {
    const lower = parts.map((part) => part.toLowerCase());
    return { kind: 'ext', field, rule, value: JSON.stringify(lower) };
  }
  if (parts.length !== 1) throw invalid(`"*" with ${rule}`, text);
  return { kind: 'ext', field, rule, value: parts[0] as string };
}

/** Reads up to the closing parenthesis; unescaped stars separate parts. */
function parseValue(cursor: Cursor): string[] {
  const parts: string[] = [];
  let bytes: Buffer[] = [];
  const end = () => {
    parts.push(Buffer.concat(bytes).toString('utf8'));
    bytes = [];
  };
  for (;;) {
    const plain = /[^\\()*]*/y;
    plain.lastIndex = cursor.at;
    const run = plain.exec(cursor.text)?.[0] ?? '';
    bytes.push(Buffer.from(run, 'utf8'));
    cursor.at += run.length;
    const char = cursor.text.charAt(cursor.at);
    if (char === ')') break;
    if (char === '*') end();
    else if (char === '\\') bytes.push(parseEscape(cursor));
    else throw invalid(`unescaped "${char}" at ${cursor.at}`, cursor.text);
    cursor.at += 1;
  }
  end();
  return parts;
}

/** Reads an escape and stops on its last character. */
function parseEscape(cursor: Cursor): Buffer {
  const hex = cursor.text.slice(cursor.at + 1, cursor.at + 3);
  if (/^[0-9a-f]{2}$/i.test(hex)) {
    cursor.at += 2;
    return Buffer.from(hex, 'hex');
  }
  const point = cursor.text.codePointAt(cursor.at + 1);
  if (point === undefined) throw invalid('text ends in "\\"', cursor.text);
  const char = String.fromCodePoint(point);
  cursor.at += char.length;
  return Buffer.from(char, 'utf8');
}
