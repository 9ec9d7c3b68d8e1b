// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is wrong in the requests of `attacks.ts`: values, bodies, framings,
 * headers, pieces of paths.
 */

import { gzipSync } from 'node:zlib';

export const TEXTS: readonly string[] = [
  '',
  ' ',
  '*',
  '-1',
  '0x10',
  '1e300',
  '4294967296',
  'NaN',
  'null',
  'true ',
  'é'.repeat(64),
  'x'.repeat(4097),
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\u202e\ufeff',
  '%00',
  '../../etc/passwd',
  "' OR 1=1 --",
  ')(|(uuid=*',
  '\\2a',
  '__proto__',
  'constructor',
  '10.4.4.256',
  '010.4.4.2',
  '::ffff:10.4.4.2',
  '10.4.4.0/33',
  '255.255.255.255',
  'FFFFFFFF-FFFF-4FFF-8FFF-FFFFFFFFFFFF',
  '90:b8:d0:00:00:zz',
];

/** Values of every kind; `String()` of some throws. */
export const VALUES: readonly unknown[] = [
  ...TEXTS,
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  1e300,
  [],
  [null],
  [[]],
  [5],
  ['x', 'x'],
  [{}],
  {},
  { a: null },
  { '': 1 },
  { toString: 1, valueOf: 1 },
  { ['k'.repeat(300)]: 'x' },
  { length: 3 },
  Array.from({ length: 2000 }, (_, i) => `n${i}`),
];

export const JSON_TYPE = { 'content-type': 'application/json' };
export const FORM_TYPE = {
  'content-type': 'application/x-www-form-urlencoded',
};
const GZIP = { ...JSON_TYPE, 'content-encoding': 'gzip' };
const BOMB = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));

type Body = [
  what: string,
  body: string | Buffer,
  headers: Record<string, string>,
];

/** Bodies that are no parameters, whatever the call. */
export const BODIES: readonly Body[] = [
  ['cut off', '{"name": "x', JSON_TYPE],
  ['two values', '{}{}', JSON_TYPE],
  ['a comment', '{/* */}', JSON_TYPE],
  ['single quotes', "{'a':1}", JSON_TYPE],
  ['an array', '[{}]', JSON_TYPE],
  ['text', '"x"', JSON_TYPE],
  ['a number', '7', JSON_TYPE],
  ['NUL', '\u0000', JSON_TYPE],
  ['a NUL in a string', '{"a":"\u0000"}', JSON_TYPE],
  ['depth', '{"a":'.repeat(20_000), JSON_TYPE],
  ['whole depth', `${'['.repeat(9000)}${']'.repeat(9000)}`, JSON_TYPE],
  ['too much', `{"a":"${'x'.repeat(1024 * 1024)}"}`, JSON_TYPE],
  ['UTF-16', Buffer.from('{"a":"x"}', 'utf16le'), JSON_TYPE],
  ['a mark of bytes', Buffer.from('\ufeff{"a":"x"}'), JSON_TYPE],
  ['broken UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), JSON_TYPE],
  ['a form of broken UTF-8', Buffer.from([0x61, 0x3d, 0xc3]), FORM_TYPE],
  ['bytes', Buffer.from(Array.from({ length: 999 }, (_, i) => i)), JSON_TYPE],
  [
    'another charset',
    Buffer.from('{"a":"x"}', 'utf16le'),
    { 'content-type': 'application/json; charset=utf-16' },
  ],
  [
    'latin',
    Buffer.from('{"a":"é"}', 'latin1'),
    { 'content-type': 'application/json; charset="ISO-8859-1"' },
  ],
  ['a gzip bomb', BOMB, GZIP],
  ['no gzip', '{}', GZIP],
  ['half a gzip', gzipSync('{"a":1}').subarray(0, 15), GZIP],
  ['brotli', '{}', { ...JSON_TYPE, 'content-encoding': 'br' }],
  ['gzip twice', BOMB, { ...JSON_TYPE, 'content-encoding': 'gzip, gzip' }],
  ['another digest', '{}', { ...JSON_TYPE, 'content-md5': 'x' }],
];

const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n';

/** What follows the request line and the good headers. */
export const FRAMINGS: readonly [what: string, rest: string][] = [
  ['a chunk of no size', `${CHUNKED}x\r\n{}\r\n0\r\n\r\n`],
  ['a negative chunk', `${CHUNKED}-5\r\n{}\r\n\r\n`],
  ['a chunk size past numbers', `${CHUNKED}ffffffffffffffffff\r\n{}\r\n`],
  ['a chunk longer than it says', `${CHUNKED}1\r\n{"a":1}\r\n0\r\n\r\n`],
  ['a chunk that never comes', `${CHUNKED}40\r\n{"a":`],
  ['a body that never comes', 'Content-Length: 99\r\n\r\n{"a":'],
  ['an unknown coding', 'Transfer-Encoding: gzip\r\n\r\n{}'],
  ['both framings', `Content-Length: 2\r\n${CHUNKED}0\r\n\r\n`],
  ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}'],
  ['a negative length', 'Content-Length: -2\r\n\r\n{}'],
  ['a length of letters', 'Content-Length: two\r\n\r\n{}'],
  ['a header without a colon', 'Nonsense\r\n\r\n'],
  ['a space before the colon', 'X-A : b\r\n\r\n'],
  ['NUL in a header', 'X-A: a\u0000b\r\n\r\n'],
  ['a header too long', `X-A: ${'b'.repeat(40_000)}\r\n\r\n`],
];

/** Request headers that somebody heeds. */
export const HEADERS = [
  'if-match',
  'if-none-match',
  'idempotency-key',
  'role-tag',
  'accept',
  'accept-version',
  'api-version',
  'content-type',
  'content-md5',
  'x-request-id',
  'x-context',
  'x-forwarded-for',
  'x-auth-token',
  'authorization',
  'date',
  'expect',
  'upgrade',
  'range',
  'te',
];

export const HEADER_WORDS = [
  '*',
  '"',
  'W/"x"',
  ', ,',
  '~9',
  '{',
  '100-continue',
  'h2c',
];

export const METHODS = [
  'GET',
  'HEAD',
  'PUT',
  'POST',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
];

/** What takes the place of a name in a path. */
export const PIECES = [
  '%00',
  '%ff',
  '%',
  '%zz',
  '..',
  '%2e%2e%2f',
  '%e0%80',
  '*',
  '__proto__',
  ')(uuid=*',
  'y'.repeat(600),
  'z'.repeat(15_000),
];
