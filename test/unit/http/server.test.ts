// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What clients see of the server: order of checks, bodies, headers (facts:
 * triton-napi 1.1, 1.2, cloudapi 1.1, 1.3).
 */

import { createHash } from 'node:crypto';
import test from 'tape';
import { ServiceError } from '#lib/errors.js';
import type { Finished, Request, Route } from '#lib/http/types.js';
import { createLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import { Lines } from '#test/lines.js';

const echo = (request: Request) => ({
  status: 200,
  body: { params: request.params, body: request.body ?? null },
});

const ROUTES: Route[] = [
  {
    method: ['GET', 'HEAD'],
    path: '/things/:id',
    name: 'getthing',
    handler: echo,
  },
  { method: 'GET', path: '/things', name: 'listthings', handler: echo },
  { method: 'POST', path: '/things', name: 'creatething', handler: echo },
  { method: 'PUT', path: '/things/:id', name: 'updatething', handler: echo },
  {
    method: 'DELETE',
    path: '/things/:id',
    name: 'deletething',
    handler: () => ({ status: 204 }),
  },
  {
    method: 'GET',
    path: '/broken',
    name: 'getbroken',
    handler: () => {
      throw new TypeError('secret of the inside');
    },
  },
  {
    method: 'GET',
    path: '/full',
    name: 'getfull',
    handler: () => {
      throw new ServiceError(
        507,
        { code: 'SubnetFull', message: 'no more free IPs', network_uuid: 'u' },
        { 'Retry-After': '1' },
      );
    },
  },
];

const JSON_TYPE = { 'content-type': 'application/json' };

test('parameters are merged in the configured order', async (t) => {
  const napi = await startHttp(t, ROUTES);
  const cloud = await startHttp(t, ROUTES, {
    precedence: ['body', 'query', 'route'],
  });
  const call = async (url: string, body: string) => {
    const answer = await fetch(`${url}/things/r?id=q&a=q`, {
      method: 'PUT',
      headers: JSON_TYPE,
      body,
    });
    return ((await answer.json()) as { params: unknown }).params;
  };
  const body = '{"id":"b","a":"b","c":false}';
  t.deepEqual(await call(napi.url, body), { id: 'r', a: 'q', c: false });
  t.deepEqual(await call(cloud.url, body), { id: 'b', a: 'b', c: false });
  t.deepEqual(await call(napi.url, '[1]'), [1], 'an array replaces them');
});

test('query values: repeated is an array, names are data', async (t) => {
  const { client } = await startHttp(t, ROUTES);
  const { body } = await client.get<{ params: Record<string, unknown> }>(
    '/things?a=1&a=2&b=&c.d=1&__proto__=x&e=%C3%A9+%2B',
  );
  t.deepEqual(body.params['a'], ['1', '2']);
  t.equal(body.params['b'], '');
  t.equal(body.params['c.d'], '1');
  t.equal(body.params['e'], 'é +');
  t.equal(({} as Record<string, unknown>)['x'], undefined);
});

test('path parameters are decoded, undecodable ones are 404', async (t) => {
  const { client, url } = await startHttp(t, ROUTES);
  const { body } = await client.get<{ params: { id: string } }>(
    '/things/a%2Fb',
  );
  t.equal(body.params.id, 'a/b');
  const bad = await fetch(`${url}/things/%zz?x`);
  t.equal(bad.status, 404);
  t.equal(
    await bad.text(),
    '{"code":"ResourceNotFound","message":"/things/%zz does not exist"}',
  );
});

test('routing errors have their bodies', async (t) => {
  const { url } = await startHttp(t, ROUTES);
  const missing = await fetch(`${url}/nope?x=1`);
  t.equal(missing.status, 404);
  t.equal(
    await missing.text(),
    '{"code":"ResourceNotFound","message":"/nope does not exist"}',
  );
  const wrong = await fetch(`${url}/things/1`, { method: 'POST' });
  t.equal(wrong.status, 405);
  t.equal(wrong.headers.get('allow'), 'DELETE, GET, HEAD, PUT');
  t.equal(
    await wrong.text(),
    '{"code":"MethodNotAllowedError","message":"POST is not allowed"}',
  );
  const head = await fetch(`${url}/things`, { method: 'HEAD' });
  t.equal(head.status, 405, 'HEAD only where a route says so');
});

test('bodies: types, digest, size', async (t) => {
  const { url } = await startHttp(t, ROUTES, { maxBodyBytes: 50 });
  const post = async (body: string, headers: Record<string, string>) => {
    const answer = await fetch(`${url}/things`, {
      method: 'POST',
      headers,
      body,
    });
    return { status: answer.status, body: await answer.json() };
  };
  t.deepEqual((await post('{"a":1}', JSON_TYPE)).body.params, { a: 1 });
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  t.deepEqual((await post('a=1&a=2', form)).body.params, { a: ['1', '2'] });
  const unknown = await post('a=1', { 'content-type': 'text/csv' });
  t.deepEqual(unknown, { status: 200, body: { params: {}, body: null } });
  const bad = await post('{"a":', JSON_TYPE);
  t.equal(bad.status, 400);
  t.equal(bad.body.code, 'InvalidContent');
  t.ok(/^Invalid JSON: ./.test(bad.body.message));
  const digest = createHash('md5').update('{"a":1}').digest('base64');
  const right = { ...JSON_TYPE, 'content-md5': digest };
  t.equal((await post('{"a":1}', right)).status, 200);
  const tampered = await post('{"a":2}', right);
  t.deepEqual([tampered.status, tampered.body.code], [400, 'BadDigest']);
  const big = await post(JSON.stringify('x'.repeat(60)), JSON_TYPE);
  t.deepEqual([big.status, big.body.code], [413, 'PayloadTooLargeError']);
});

test('versions and media types are refused before the hooks', async (t) => {
  const hooked: string[] = [];
  const { url } = await startHttp(t, ROUTES, {
    versions: ['8.0.0', '9.0.0'],
    headers: () => ({ 'Api-Version': '9.0.0' }),
    before: [(request) => void hooked.push(request.url)],
  });
  const get = (path: string, headers: Record<string, string>) =>
    fetch(url + path, { headers });
  const old = await get('/things?a=1', { 'accept-version': '~7' });
  t.equal(old.status, 400);
  t.equal(old.headers.get('api-version'), null, 'without the headers');
  t.equal(
    await old.text(),
    '{"code":"InvalidVersion",' +
      '"message":"~7 is not supported by GET /things"}',
  );
  t.equal((await get('/things', { 'x-api-version': '~7' })).status, 400);
  const xml = await get('/things', { accept: 'text/xml' });
  t.equal(xml.status, 406);
  t.equal(
    await xml.text(),
    '{"code":"NotAcceptableError","message":"Server accepts: application/json,' +
      'text/plain,application/octet-stream,application/javascript"}',
  );
  t.deepEqual(hooked, []);
  for (const accept of ['*/*', 'application/*', 'text/html, */*;q=0.1']) {
    t.equal((await get('/things', { accept })).status, 200, accept);
  }
  t.equal(hooked.length, 3);
});

test('hooks fill the context or refuse', async (t) => {
  const { client, url } = await startHttp(
    t,
    [
      {
        method: 'GET',
        path: '/me',
        name: 'getme',
        handler: (request) => ({ status: 200, body: request.context }),
      },
    ],
    {
      headers: (request) => ({ 'x-path': request.path }),
      before: [
        async (request) => {
          if (request.headers['authorization'] === undefined) {
            throw new ServiceError(401, {
              code: 'InvalidCredentials',
              message: 'no',
            });
          }
          request.context['account'] = 'alice';
        },
      ],
    },
  );
  const refused = await fetch(`${url}/me`);
  t.equal(refused.status, 401);
  t.equal(refused.headers.get('x-path'), '/me', 'with the headers');
  const { body } = await client.get('/me', {
    headers: { authorization: 'x' },
  });
  t.deepEqual(body, { account: 'alice' });
});

test('errors: ours as they are, others tell nothing', async (t) => {
  const lines = new Lines();
  const log = createLogger({ name: 'x', level: 'info', stream: lines });
  const { url } = await startHttp(t, ROUTES, { log });
  const full = await fetch(`${url}/full`);
  t.equal(full.status, 507);
  t.equal(full.headers.get('retry-after'), '1');
  t.equal(
    await full.text(),
    '{"code":"SubnetFull","message":"no more free IPs","network_uuid":"u"}',
  );
  const broken = await fetch(`${url}/broken`);
  t.equal(broken.status, 500);
  t.equal(
    await broken.text(),
    '{"code":"InternalError","message":"Internal error"}',
  );
  t.ok(lines.text().includes('secret of the inside'), 'the log has it');
});

test('HEAD is GET without a body, 204 has none', async (t) => {
  const { url } = await startHttp(t, ROUTES, { contentMd5: true });
  const get = await fetch(`${url}/things/1`);
  const head = await fetch(`${url}/things/1`, { method: 'HEAD' });
  for (const name of ['content-length', 'content-md5', 'content-type']) {
    t.equal(head.headers.get(name), get.headers.get(name), name);
  }
  t.equal(await head.text(), '');
  const gone = await fetch(`${url}/things/1`, { method: 'DELETE' });
  t.equal(gone.status, 204);
  t.equal(gone.headers.get('content-type'), null);
  t.equal(gone.headers.get('content-md5'), null);
});

test('Content-MD5 is of an ASCII body', async (t) => {
  const { url } = await startHttp(t, ROUTES, { contentMd5: true });
  const answer = await fetch(`${url}/things?name=%C3%A9%F0%9F%98%80`);
  const text = await answer.text();
  t.ok(text.includes('\\u00e9\\ud83d\\ude00'), 'escaped');
  t.equal(
    answer.headers.get('content-md5'),
    createHash('md5').update(text).digest('base64'),
  );
});

test('the request id is echoed, logged, or made', async (t) => {
  const lines = new Lines();
  const done: Finished[] = [];
  const { url } = await startHttp(t, ROUTES, {
    log: createLogger({ name: 'x', level: 'info', stream: lines }),
    idHeader: 'Request-Id',
    elapsedHeader: 'Response-Time',
    onReply: (finished) => void done.push(finished),
  });
  const answer = await fetch(`${url}/things/1`, {
    method: 'PUT',
    headers: { ...JSON_TYPE, 'x-request-id': 'abc' },
    body: '{"password":"hunter2"}',
  });
  await answer.text();
  t.equal(answer.headers.get('request-id'), 'abc');
  t.ok(/^\d+$/.test(answer.headers.get('response-time') ?? ''));
  const made = await fetch(`${url}/nope`);
  t.ok(/^[0-9a-f-]{36}$/.test(made.headers.get('request-id') ?? ''));
  const [record] = lines.records();
  t.equal(record?.['req_id'], 'abc');
  t.equal(record?.['status'], 200);
  t.equal(record?.['method'], 'PUT');
  t.notOk(lines.text().includes('hunter2'), 'bodies are never logged');
  t.deepEqual(
    done.map(({ method, routeName, status }) => [method, routeName, status]),
    [
      ['PUT', 'updatething', 200],
      ['GET', undefined, 404],
    ],
  );
});

test('a stream may begin late, and with nothing', async (t) => {
  const bits = async function* () {
    await new Promise((resolve) => setTimeout(resolve, 20));
    yield '';
    yield 'late';
  };
  const late: Route = {
    method: 'GET',
    path: '/late',
    name: 'getlate',
    handler: () => ({
      status: 200,
      stream: { type: 'text/plain', open: bits },
    }),
  };
  const { url } = await startHttp(t, [late]);
  const response = await fetch(`${url}/late`);
  t.equal(response.status, 200);
  t.equal(await response.text(), 'late');
});
