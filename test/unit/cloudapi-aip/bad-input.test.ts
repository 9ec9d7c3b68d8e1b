// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Whatever a customer sends wrong is 4xx with a code, names the field, and
 * changes nothing; nothing that can be sent is 5xx.
 */

import { connect } from 'node:net';
import test, { type Test } from 'tape';
import { type Answer, deploy, INSTANCE } from './deployment.js';

interface ErrorBody {
  code: string;
  message: string;
  errors?: { field: string }[];
}

function outcome(answer: Answer): string[] {
  const { code, errors = [] } = answer.body as ErrorBody;
  return [`${answer.status} ${code}`, ...errors.map((e) => e.field)];
}

const WRONG: Record<string, unknown[]> = {
  instance: ['x', '', 7, true, [INSTANCE], {}, INSTANCE.toUpperCase()],
  private_ip: ['10.0.0.256', '10.0.0', '::1', 'x', 1, {}, ['10.4.4.2']],
  'private-ip': ['010.0.0.1', ' 10.4.4.2', 0],
  description: [7, true, {}, [], 'x'.repeat(1025), 'a\u0000', '\ud800'],
  tags: [
    'a=b',
    [],
    7,
    { '': 1 },
    { a: null },
    { a: [] },
    { a: {} },
    { ['k'.repeat(129)]: 1 },
    { a: 'v'.repeat(1025) },
    Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, i])),
  ],
  remap: ['yes', 1, '', {}, []],
};

test('every field wrong once is named and nothing changes', async (t) => {
  const { call, napi } = await deploy(t);
  const made = await call('POST', '/my/aips', { body: { instance: INSTANCE } });
  const { id } = made.body as { id: string };
  const before = JSON.stringify([...napi.aips]);
  const passed = napi.requests.length;
  for (const [field, values] of Object.entries(WRONG)) {
    for (const value of values) {
      const body = { instance: INSTANCE, [field]: value };
      const label = `${field}: ${JSON.stringify(value).slice(0, 40)}`;
      const put = await call('PUT', `/my/aips/${id}`, { body });
      t.deepEqual(outcome(put), ['409 InvalidArgument', field], label);
      if (field === 'remap') continue;
      const post = await call('POST', '/my/aips', { body });
      t.deepEqual(outcome(post), ['409 InvalidArgument', field], label);
    }
  }
  t.equal(napi.requests.length, passed, 'napi-nat was not even asked');
  t.equal(JSON.stringify([...napi.aips]), before);
});

test('wrong flags and paging are named', async (t) => {
  const { call, napi } = await deploy(t);
  const made = await call('POST', '/my/aips', { body: {} });
  const one = `/my/aips/${(made.body as { id: string }).id}`;
  const cases: [string, string, string][] = [
    ['POST', `${one}?detach=maybe`, 'detach'],
    ['POST', `${one}?detach=false`, 'detach'],
    ['POST', one, 'detach'],
    ['DELETE', `${one}?really_delete=1`, 'really_delete'],
    ['DELETE', `${one}?really-delete=`, 'really-delete'],
    ['GET', '/my/aips?limit=0', 'limit'],
    ['GET', '/my/aips?limit=1001', 'limit'],
    ['GET', '/my/aips?limit=1&limit=2', 'limit'],
    ['GET', '/my/aips?limit=0x10', 'limit'],
    ['GET', '/my/aips?limit=%201', 'limit'],
    ['GET', '/my/aips?offset=-1', 'offset'],
    ['GET', '/my/aips?offset=1e3', 'offset'],
    ['GET', '/my/aips?offset=99999999999999999999', 'offset'],
    ['GET', '/my/aips?marker=x', 'marker'],
  ];
  for (const [method, url, field] of cases) {
    const answer = await call(method, url);
    t.deepEqual(outcome(answer), ['409 InvalidArgument', field], url);
  }
  t.equal(napi.aips.size, 1);
});

test("napi-nat's field errors keep their field", async (t) => {
  const { call, napi } = await deploy(t);
  const wrong = await call('POST', '/my/aips', {
    body: { instance: INSTANCE, private_ip: '10.9.9.9' },
  });
  t.deepEqual(outcome(wrong), ['409 InvalidArgument', 'private_ip']);
  const alone = await call('POST', '/my/aips', {
    body: { private_ip: '10.4.4.2' },
  });
  t.deepEqual(outcome(alone), ['409 MissingParameter', 'instance']);
  t.equal(napi.aips.size, 0);
});

test('bodies that are no JSON object are refused', async (t) => {
  const { call, napi } = await deploy(t);
  const json = { 'content-type': 'application/json' };
  const cases: [string | Buffer, Record<string, string>, string][] = [
    ['{', json, '400 InvalidContent'],
    ['{"instance":}', json, '400 InvalidContent'],
    ['\u0000', json, '400 InvalidContent'],
    [Buffer.from([0xff, 0xfe, 0x7b]), json, '400 InvalidContent'],
    ['[]', json, '409 InvalidArgument'],
    ['[{"instance":1}]', json, '409 InvalidArgument'],
    ['"text"', json, '409 InvalidArgument'],
    ['7', json, '409 InvalidArgument'],
    ['null', json, '409 InvalidArgument'],
    ['false', json, '409 InvalidArgument'],
    [`{"a":"${'x'.repeat(100_000)}"}`, json, '413 PayloadTooLargeError'],
    ['{}', { ...json, 'content-md5': 'AAAA' }, '400 BadDigest'],
    ['['.repeat(50_000), json, '400 InvalidContent'],
  ];
  for (const [raw, headers, expected] of cases) {
    const answer = await call('POST', '/my/aips', { raw, headers });
    const label = raw.toString('latin1').slice(0, 30);
    t.equal(outcome(answer)[0], expected, label);
  }
  t.equal(napi.aips.size, 0);
});

test('odd paths, queries and headers are never 5xx', async (t) => {
  const { call, send } = await deploy(t);
  const paths = [
    '/%zz/aips',
    '/my/aips/%zz',
    '/%/aips',
    '/%ff/aips',
    '/%00/aips',
    '/my/aips/%00',
    '/my%2faips',
    '/a%2fb/aips',
    '//aips',
    '/my//aips',
    '/my/aips/',
    '/__proto__/aips',
    '/constructor/aips',
    '/my/aips/__proto__',
    `/${'x'.repeat(600)}/aips`,
    `/my/aips/${'x'.repeat(600)}`,
    '/my/aips?limit=%zz',
    '/my/aips?limit[]=1',
    '/my/aips?limit[a]=1',
    '/my/aips?__proto__=1&limit=x',
    '/my/aips?marker=%00',
    '/my/aips?as-role=%00',
  ];
  for (const path of paths) {
    for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH']) {
      const { status } = await call(method, path);
      if (status >= 500) t.fail(`${method} ${path}: ${status}`);
      const bare = await send(method, path);
      if (bare.status >= 500) t.fail(`unsigned ${method} ${path}`);
    }
  }
  t.pass(`${paths.length} odd paths`);
});

test('odd Authorization headers are 400 or 401', async (t) => {
  const { send } = await deploy(t);
  const date = new Date().toUTCString();
  const key = 'keyId="/alice/keys/laptop",algorithm="rsa-sha256"';
  for (const authorization of [
    '',
    'Signature',
    'Signature ',
    'signature keyId="a"',
    'Basic YTpi',
    'Bearer x',
    'Signature keyId=5,algorithm="rsa-sha256",signature="aa"',
    'Signature keyId="/a/keys/b",algorithm=5,signature="aa"',
    `Signature ${key},signature=5,x="y"`,
    `Signature ${key},headers=5,signature="aa"`,
    `Signature ${key},headers="date constructor",signature="aa"`,
    `Signature ${key},headers="(opaque) date",signature="aa"`,
    `Signature ${key},headers="(request-target)",signature="aa"`,
    `Signature ${key}, headers="date",signature="aa"`,
    `Signature ${key},created="x",signature="aa"`,
    `Signature ${key},expires=1,signature="aa"`,
    `Signature ${key},created=9999999999,signature="aa"`,
    `Signature ${key},signature="not base64!"`,
    `Signature ${key},signature=""`,
    `Signature ${key} AAAA`,
    'Signature keyId="/alice/keys/laptop",algorithm="hmac-sha256" AAAA',
    `Signature ${'x'.repeat(8000)}`,
    'Signature keyId="/alice/keys/laptop",algorithm="nope",signature="aa"',
  ]) {
    const { status, body } = await send('GET', '/my/aips', {
      date,
      authorization,
    });
    const { code } = body as ErrorBody;
    const good =
      (status === 401 && code === 'InvalidCredentials') ||
      (status === 400 && code === 'InvalidHeader');
    t.ok(good, `${status} ${code}: ${authorization.slice(0, 60)}`);
  }
});

/** Writes bytes to the port; what comes back until it is closed. */
function raw(t: Test, port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    t.teardown(() => socket.destroy());
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

test('bytes that are no HTTP leave the server serving', async (t) => {
  const { call, port } = await deploy(t);
  for (const bytes of [
    'GET\r\n\r\n',
    'GET /my/aips HTTP/9.9\r\n\r\n',
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]),
    'POST /my/aips HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
    'POST /my/aips HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{',
    `GET /my/aips HTTP/1.1\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  ]) {
    const answer = await raw(t, port, bytes);
    t.notOk(/^HTTP\/1.1 5/.test(answer), JSON.stringify(answer.slice(0, 40)));
  }
  t.equal((await call('GET', '/my/aips')).status, 200);
});
