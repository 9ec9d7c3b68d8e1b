// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The six calls over HTTP: statuses, headers and bodies that stock clients
 * read, and who may see what.
 */

import { createHash } from 'node:crypto';
import test from 'tape';
import { ServiceError } from '#lib/errors.js';
import { deploy, INSTANCE, OTHER_INSTANCE } from './deployment.js';
import { ALICE, KEYS } from './identities.js';

const CODE = (answer: { status: number; body: unknown }) =>
  `${answer.status} ${(answer.body as { code?: string })?.code}`;

interface Shown {
  id: string;
  ip: string;
  private_ip?: string;
  'private-ip'?: string;
  belongs_to_uuid?: string;
  description?: string;
  owner_uuid: string;
}

test('an AIP lives from create to delete', async (t) => {
  const { call, napi } = await deploy(t);
  const made = await call('POST', '/my/aips', {
    body: { instance: INSTANCE, description: 'web \u00e9', tags: { a: 1 } },
  });
  const aip = made.body as Shown;
  t.equal(made.status, 201);
  t.equal(made.headers.location, `/alice/aips/${aip.id}`, 'the real login');
  t.equal(aip.owner_uuid, ALICE);
  t.equal(aip['private-ip'], '10.4.4.2');
  t.equal(aip.description, 'web \u00e9');
  t.ok(/^[ -~]+$/.test(made.text), 'the wire is ASCII');
  const one = `/alice/aips/${aip.id}`;
  t.deepEqual((await call('GET', one)).body, aip);
  t.deepEqual((await call('GET', `/${ALICE}/aips`)).body, [aip]);
  t.equal(
    CODE(await call('PUT', one, { body: { instance: OTHER_INSTANCE } })),
    '409 AIPInUse',
  );
  const moved = await call('PUT', one, {
    body: { instance: OTHER_INSTANCE, remap: true },
  });
  t.equal(moved.status, 200);
  t.equal((moved.body as Shown).private_ip, '10.4.4.3');
  t.equal(CODE(await call('DELETE', one)), '409 AIPInUse');
  const detached = await call('POST', `${one}?detach=true`, { body: {} });
  t.deepEqual([detached.status, detached.text], [204, '']);
  t.notOk((await call('GET', one)).text.includes('private_ip'));
  await call('PUT', one, { body: { instance: INSTANCE } });
  const gone = await call('DELETE', `${one}?really-delete=true`);
  t.deepEqual([gone.status, gone.text], [204, '']);
  t.equal(gone.headers['content-type'], undefined, 'no type without a body');
  t.equal(napi.aips.size, 0);
  for (const [method, url] of [
    ['GET', one],
    ['PUT', one],
    ['POST', `${one}?detach=true`],
    ['DELETE', one],
    ['GET', '/my/aips/nope'],
    ['DELETE', '/my/aips/NOPE'],
  ] as const) {
    const body = method === 'GET' ? {} : { body: {} };
    t.equal(CODE(await call(method, url, body)), '404 ResourceNotFound', url);
  }
});

test('parameters are taken from a form and from the query', async (t) => {
  const { call } = await deploy(t);
  const form = await call('POST', '/my/aips', {
    raw: `instance=${INSTANCE}&private-ip=10.4.4.2`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  t.equal((form.body as Shown).belongs_to_uuid, INSTANCE);
  const query = await call('POST', `/my/aips?instance=${OTHER_INSTANCE}`);
  t.equal((query.body as Shown).private_ip, '10.4.4.3');
});

test('lists page by limit and offset, and by marker', async (t) => {
  const { call } = await deploy(t);
  for (let i = 0; i < 5; i++) await call('POST', '/my/aips', { body: {} });
  const ids = async (query: string) => {
    const answer = await call('GET', `/my/aips${query}`);
    const list = answer.body as Shown[];
    t.equal(answer.headers['x-resource-count'], String(list.length));
    return [answer.headers['x-query-limit'], ...list.map((aip) => aip.id)];
  };
  const all = await ids('');
  t.equal(all.length, 6);
  t.equal(all[0], '1000');
  t.deepEqual(await ids('?limit=2&offset=1'), ['2', all[2], all[3]]);
  t.deepEqual(await ids(`?limit=2&marker=${all[3]}`), ['2', all[4], all[5]]);
});

test('HEAD says what GET says, without the body', async (t) => {
  const { call, send } = await deploy(t);
  const made = await call('POST', '/my/aips', { body: {} });
  const { id } = made.body as Shown;
  const strip = (headers: object) => {
    const { date, ...rest } = headers as Record<string, string>;
    delete rest['request-id'];
    delete rest['response-time'];
    return rest;
  };
  for (const url of ['/my/aips', `/my/aips/${id}`, '/my/aips?limit=1']) {
    const [get, head] = [await call('GET', url), await call('HEAD', url)];
    t.equal(head.status, 200);
    t.equal(head.text, '');
    t.deepEqual(strip(head.headers), strip(get.headers), url);
  }
  const lost = await call('HEAD', '/my/aips/nope');
  t.deepEqual([lost.status, lost.text], [404, '']);
  t.equal((await send('HEAD', '/my/aips')).status, 401, 'HEAD is signed too');
  t.equal((await send('HEAD', '/--ping')).status, 200);
});

test('replies have the headers of CloudAPI', async (t) => {
  const { call } = await deploy(t);
  const { headers, text } = await call('GET', '/my/aips', {
    headers: { 'request-id': 'abc-1' },
  });
  t.equal(headers['api-version'], '9.0.0');
  t.equal(headers['request-id'], 'abc-1');
  t.match(String(headers.server), /^cloudapi\//);
  t.match(String(headers['response-time']), /^\d+$/);
  t.equal(headers['content-type'], 'application/json');
  t.equal(
    headers['content-md5'],
    createHash('md5').update(text).digest('base64'),
  );
  t.equal(headers['access-control-allow-origin'], '*');
  t.equal(headers['access-control-allow-methods'], 'GET, HEAD, POST, PUT');
  const lost = await call('GET', '/my/aips/nope');
  t.equal(
    lost.headers['access-control-allow-methods'],
    'DELETE, GET, HEAD, POST, PUT',
  );
  t.equal(lost.headers['api-version'], '9.0.0', 'errors have them too');
  t.equal(lost.headers['www-authenticate'], undefined);
});

test('versions that stock clients ask for are served', async (t) => {
  const { call, send } = await deploy(t);
  for (const range of ['~9||~8', '8', '~8', '~7.2', '~7.3', '*', '>=7.2.0']) {
    const headers = { 'accept-version': range };
    t.equal((await call('GET', '/my/aips', { headers })).status, 200, range);
  }
  for (const range of ['~7.1', '~6.5', '10', 'garbage']) {
    const headers = { 'accept-version': range };
    const answer = await send('GET', '/my/aips', headers);
    t.equal(CODE(answer), '400 InvalidVersion', `${range}, before any 401`);
  }
  const ping = await send('GET', '/--ping', { 'accept-version': '~7.0' });
  t.equal(ping.status, 200);
  t.equal(ping.headers['triton-datacenter-name'], 'lab');
  t.equal((ping.body as { ping: string }).ping, 'pong');
});

test('unknown paths and methods are answered before signatures', async (t) => {
  const { send } = await deploy(t);
  for (const path of ['/', '/my', '/my/machines', '/my/aips/a/b']) {
    t.equal(CODE(await send('GET', path)), '404 ResourceNotFound', path);
  }
  for (const [method, path] of [
    ['POST', '/my/aips/x/audit'],
    ['DELETE', '/my/aips'],
    ['PATCH', '/my/aips/x'],
  ] as const) {
    const answer = await send(method, path);
    t.equal(CODE(answer), '405 MethodNotAllowedError', `${method} ${path}`);
    t.ok(answer.headers.allow, `Allow: ${answer.headers.allow}`);
  }
  const accept = await send('GET', '/my/aips', { accept: 'text/xml' });
  t.equal(CODE(accept), '406 NotAcceptableError');
  t.equal(CODE(await send('GET', '/my/aips')), '401 InvalidCredentials');
});

test("another's AIPs are not found, another's account is forbidden", async (t) => {
  const { call, napi } = await deploy(t);
  const made = await call('POST', '/my/aips', { body: {} });
  const { id } = made.body as Shown;
  const bob = { key: KEYS.bob, keyId: `/bob/keys/${KEYS.bob.md5}` };
  const forged = { ...bob, keyId: `/alice/keys/${KEYS.alice.md5}` };
  const one = `/my/aips/${id}`;
  t.deepEqual((await call('GET', '/my/aips', bob)).body, []);
  for (const [method, url] of [
    ['GET', one],
    ['PUT', one],
    ['POST', `${one}?detach=true`],
    ['DELETE', `${one}?really_delete=true`],
  ] as const) {
    const more = method === 'GET' ? bob : { ...bob, body: {} };
    t.equal(CODE(await call(method, url, more)), '404 ResourceNotFound');
    const foreign = url.replace('/my/', '/alice/');
    t.equal(CODE(await call(method, foreign, more)), '403 NotAuthorized');
    t.equal(
      CODE(await call(method, foreign, forged)),
      '401 InvalidCredentials',
    );
  }
  t.equal(
    CODE(
      await call('POST', '/my/aips', { ...bob, body: { instance: INSTANCE } }),
    ),
    '404 ResourceNotFound',
    "another's instance",
  );
  t.equal(napi.aips.size, 1);
  const root = { key: KEYS.operator, keyId: `/root/keys/${KEYS.operator.md5}` };
  t.equal((await call('GET', `/alice/aips/${id}`, root)).status, 200);
});

test("an operator's call on a customer's path is the customer's", async (t) => {
  const { call, napi } = await deploy(t);
  const root = { key: KEYS.operator, keyId: `/root/keys/${KEYS.operator.md5}` };
  const made = await call('POST', '/alice/aips', { ...root, body: {} });
  const { id, owner_uuid } = made.body as Shown;
  t.equal(owner_uuid, ALICE);
  t.equal(made.headers.location, `/alice/aips/${id}`);
  const calls: [string, string, object][] = [
    ['GET', '/alice/aips', root],
    ['GET', `/alice/aips/${id}`, root],
    ['PUT', `/alice/aips/${id}`, { ...root, body: { description: 'x' } }],
    ['POST', `/alice/aips/${id}?detach=true`, { ...root, body: {} }],
    ['DELETE', `/alice/aips/${id}`, root],
  ];
  for (const [method, url, more] of calls) {
    t.ok((await call(method, url, more)).status < 300, `${method} ${url}`);
    t.equal(napi.requests.at(-1)?.params['owner_uuid'], ALICE, 'as alice');
  }
});

test("a body cannot choose another owner or another's path", async (t) => {
  const { call, napi } = await deploy(t);
  const bob = '11111111-0000-4000-8000-00000000000b';
  const made = await call('POST', '/my/aips', {
    body: { owner_uuid: bob, login: 'bob', uuid: bob, ip: '3.3.3.200' },
  });
  const aip = made.body as Shown & { uuid: string };
  t.equal(aip.owner_uuid, ALICE);
  t.notEqual(aip.uuid, bob);
  t.equal(napi.requests.at(-1)?.params['owner_uuid'], ALICE);
  t.notOk('ip' in (napi.requests.at(-1)?.params ?? {}));
});

test('a napi-nat in trouble is 503 and says nothing of itself', async (t) => {
  const { call, napi } = await deploy(t);
  napi.broken = new ServiceError(500, {
    code: 'InternalError',
    message: 'stack of napi-nat',
  });
  for (const method of ['GET', 'POST']) {
    const answer = await call(method, '/my/aips');
    t.equal(CODE(answer), '503 ServiceUnavailableError');
    t.notOk(answer.text.includes('napi-nat'));
  }
});
