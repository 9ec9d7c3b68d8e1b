// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Requests that no honest client sends, made from the calls that a service
 * knows: broken HTTP, bodies that are none, wrong fields, odd headers, methods
 * and paths.
 */

import { gzipSync } from 'node:zlib';
import type { Rng } from '../rng.js';
import type { RawAnswer } from './raw.js';
import {
  BODIES,
  FORM_TYPE,
  FRAMINGS,
  HEADER_WORDS,
  HEADERS,
  JSON_TYPE,
  METHODS,
  PIECES,
  TEXTS,
  VALUES,
} from './wrong.js';

/** A request that the service would do. */
export interface Call {
  method: string;
  path: string;
  body: Record<string, unknown>;
  /** What it reads from query and body. */
  fields: readonly string[];
  /** It looks at the query alone. */
  ignoresBody?: boolean;
}

export interface Attack {
  /** For people who must find it again. */
  what: string;
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string | Buffer;
  /** What follows the headers, where it is no body; our side ends then. */
  rest?: string;
  /** Whether it may be done: what is wrong with it may not matter. */
  may: boolean;
  /** What is wrong with its answer besides; null when nothing is. */
  judge?(answer: RawAnswer): string | null;
}

/** The request as it goes on the wire. */
export function onTheWire({
  method,
  url,
  headers,
  body,
  rest,
}: Attack): Buffer {
  const payload = body === undefined ? undefined : Buffer.from(body);
  const length =
    payload === undefined ? {} : { 'content-length': payload.length };
  const all = { Host: 'x', Connection: 'close', ...headers, ...length };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  const head = `${method} ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n`;
  const start = Buffer.from(`${head}${rest ?? '\r\n'}`, 'latin1');
  return Buffer.concat([start, payload ?? Buffer.alloc(0)]);
}

/** What only reads does not wait for the body. */
function isRead({ method }: Call): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Bytes that are no HTTP. */
export function badFraming(rng: Rng, call: Call): Attack {
  const { method, path: url } = call;
  const [what, rest] = rng.pick(FRAMINGS);
  const headers = { ...JSON_TYPE };
  return { what, method, url, headers, rest, may: isRead(call) };
}

/** A body that is none. */
export function badBody(rng: Rng, call: Call): Attack {
  const { method, path: url, ignoresBody: may = false } = call;
  const [what, body, headers] = rng.pick(BODIES);
  return { what, method, url, headers: { ...headers }, body, may };
}

function inQuery(field: string, text: string): string {
  const sound = text.replace(/[\ud800-\udfff]/g, '\ufffd');
  return `${encodeURIComponent(field)}=${encodeURIComponent(sound)}`;
}

/** One field, wrong in one of the ways in which it can be sent. */
export function badField(rng: Rng, call: Call, field: string): Attack {
  const { method, path } = call;
  const value = rng.pick(VALUES);
  const json = JSON.stringify(value);
  const text = typeof value === 'string' ? value : json;
  const attack = (query: string, more: Partial<Attack> = {}): Attack => ({
    what: `${field} = ${json.slice(0, 60)}`,
    method,
    url: query === '' ? path : `${path}?${query}`,
    headers: {},
    may: true,
    ...more,
  });
  const name = encodeURIComponent(field);
  const ends = ['', 'z', 'ff', 'e0%80', 'c'];
  const ways: (() => Attack)[] = [
    () => attack(inQuery(field, text)),
    () => attack(`${inQuery(field, rng.pick(TEXTS))}&${inQuery(field, text)}`),
    () => attack(`${name}=%${rng.pick(ends)}`),
    () => attack(`${name}[a][]=1&${name}.b=2&__proto__[c]=3&constructor=4`),
    () => attack(`${'a&'.repeat(1500)}${name}=`),
  ];
  const whole = JSON.stringify({ ...call.body, [field]: value });
  const proto = `{"__proto__":{${JSON.stringify(field)}:${json}},"constructor":{"prototype":{"x":1}}}`;
  const bodies: (() => Attack)[] = [
    () => attack('', { headers: { ...JSON_TYPE }, body: whole }),
    () => attack('', { headers: { ...JSON_TYPE }, body: whole }),
    () => attack('', { headers: { ...FORM_TYPE }, body: inQuery(field, text) }),
    () => attack('', { headers: { ...JSON_TYPE }, body: proto }),
    () =>
      attack('', {
        headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
        body: gzipSync(whole),
      }),
  ];
  return rng.pick(isRead(call) ? ways : [...ways, ...bodies])();
}

/** Characters that a header may have, and many of them. */
function headerValue(rng: Rng): string {
  if (rng.chance(0.4)) return rng.pick(HEADER_WORDS);
  return Array.from({ length: rng.pick([0, 1, 8, 300, 1500]) }, () =>
    String.fromCharCode(rng.pick([rng.between(33, 126), 0xe9, 0xff])),
  ).join('');
}

/** A request whose headers, method or path nobody expects. */
export function oddRequest(rng: Rng, { method, path }: Call): Attack {
  const headers = Object.fromEntries(
    Array.from({ length: rng.between(1, 4) }, () => [
      rng.pick(HEADERS),
      headerValue(rng),
    ]),
  );
  const pieces = path.split('/');
  pieces[rng.between(1, pieces.length - 1)] = rng.pick(PIECES);
  const odd = (url: string, more: Partial<Attack> = {}): Attack => ({
    what: 'headers, method or path',
    method,
    url,
    headers: {},
    may: true,
    ...more,
  });
  return rng.pick<() => Attack>([
    // What would be right is kept from doing anything.
    () => odd(path, { headers: { ...headers, 'if-match': '0' } }),
    () => odd(path, { method: rng.pick(METHODS), headers }),
    () => odd(pieces.join('/')),
    () => odd(`http://x${path}`, { method: 'GET' }),
    () => odd(`/${path}`, { method: 'GET' }),
  ])();
}
