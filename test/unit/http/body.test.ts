// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** How a body is read: compressed, in another charset, too long, not UTF-8. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import test from 'tape';
import { LINGER_MS } from '#lib/http/linger.js';
import type { Route } from '#lib/http/types.js';
import { startHttp } from '#test/http-server.js';
import { manualClock } from '#test/manual-clock.js';
import { until } from '#test/until.js';

const ECHO: Route = {
  method: 'POST',
  path: '/things',
  name: 'creatething',
  handler: ({ body }) => ({ status: 200, body: { body: body ?? null } }),
};
const LIMIT = 1000;
const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

type Case = [
  what: string,
  headers: Record<string, string>,
  body: string | Buffer,
  status: number,
  /** The body as read, or the code of the error. */
  outcome: unknown,
];

const GZIP = { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' };
const LATIN = Buffer.from('{"a":"é"}', 'latin1');

const CASES: Case[] = [
  ['UTF-8', { 'content-type': JSON_TYPE }, '{"a":"é"}', 200, { a: 'é' }],
  [
    'UTF-8 by name',
    { 'content-type': `${JSON_TYPE}; charset="UTF-8"` },
    '{"a":"é"}',
    200,
    { a: 'é' },
  ],
  [
    'an encoding that is none',
    { 'content-type': JSON_TYPE, 'content-encoding': 'identity' },
    '{}',
    200,
    {},
  ],
  ['gzip', GZIP, gzipSync('{"a":1}'), 200, { a: 1 }],
  [
    'what is not UTF-8',
    { 'content-type': JSON_TYPE },
    LATIN,
    400,
    'InvalidContent',
  ],
  [
    'a form that is not UTF-8',
    { 'content-type': FORM_TYPE },
    Buffer.from([0x61, 0x3d, 0xc3]),
    400,
    'InvalidContent',
  ],
  [
    'another charset',
    { 'content-type': `${JSON_TYPE}; charset=iso-8859-1` },
    LATIN,
    415,
    'UnsupportedMediaTypeError',
  ],
  ['no gzip', GZIP, '{}', 400, 'InvalidContent'],
  [
    'gzip that ends too soon',
    GZIP,
    gzipSync('{"a":1}').subarray(0, 20),
    400,
    'InvalidContent',
  ],
  [
    'gzip of more than the limit',
    GZIP,
    gzipSync(JSON.stringify('x'.repeat(LIMIT))),
    413,
    'PayloadTooLargeError',
  ],
  [
    'another compression',
    { 'content-type': JSON_TYPE, 'content-encoding': 'br' },
    '{}',
    415,
    'UnsupportedMediaTypeError',
  ],
];

test('a body is read as its headers say, or refused', async (t) => {
  const { url } = await startHttp(t, [ECHO], { maxBodyBytes: LIMIT });
  for (const [what, headers, body, status, outcome] of CASES) {
    const answer = await fetch(`${url}/things`, {
      method: 'POST',
      headers,
      body: body as string,
    });
    const read = (await answer.json()) as { body: unknown; code?: string };
    const seen = answer.status === 200 ? read.body : read.code;
    t.deepEqual([answer.status, seen], [status, outcome], what);
  }
});

test('a body that does not come is waited for, not for ever', async (t) => {
  const clock = manualClock();
  const { port } = await startHttp(t, [ECHO], { clock });
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"a"',
  );
  await until('it to be waited for', () => clock.pending() > 0);
  clock.advance(59_999);
  t.equal(clock.pending(), 1, 'it is waited for');
  clock.advance(1);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await until('the answer', () => text.includes('RequestTimeoutError'));
  clock.advance(LINGER_MS);
  await once(socket, 'close');
  t.match(text, /^HTTP\/1.1 408 /);
  t.match(text, /\r\nconnection: close\r\n/i);
});
