// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A request that was signed, over HTTP: when it is taken, when it no longer
 * is, and what the log says of it. None that is refused reaches napi-nat.
 */

import { writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import test from 'tape';
import { createLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import { manualClock } from '#test/manual-clock.js';
import { accountFile, deploy, MemoryNapi, serve } from './deployment.js';
import {
  ALICE,
  account,
  everyone,
  KEYS,
  makeKey,
  signed,
} from './identities.js';

const KEY_ID = `/alice/keys/${KEYS.alice.md5}`;
const said = ({ status, body }: { status: number; body: unknown }) =>
  `${status} ${(body as { code?: string }).code ?? ''}`.trim();

test('a signed request can be replayed for 300 s and no longer', async (t) => {
  const clock = manualClock(Date.parse('2026-11-21T10:00:00Z'));
  const napi = new MemoryNapi();
  const { url: at } = await startHttp(t, napi.routes());
  const { send } = await serve(t, {
    napi: at,
    accounts: accountFile(t),
    clock,
  });
  const request = { method: 'GET', url: '/my/aips' };
  const headers = signed(KEYS.alice, KEY_ID, { ...request, now: clock.now() });
  const replay = async () => said(await send('GET', '/my/aips', headers));
  t.equal(await replay(), '200');
  clock.advance(300_000);
  t.equal(await replay(), '200', 'at the edge of the window');
  const asked = napi.requests.length;
  clock.advance(1000);
  t.equal(await replay(), '400 InvalidHeader', 'outside');
  const early = { ...request, now: clock.now() + 302_000 };
  const ahead = signed(KEYS.alice, KEY_ID, early);
  t.equal(said(await send('GET', '/my/aips', ahead)), '400 InvalidHeader');
  const fresh = signed(KEYS.alice, KEY_ID, { ...request, now: clock.now() });
  t.equal(
    said(await send('DELETE', '/my/aips/x', fresh)),
    '401 InvalidCredentials',
    'for another method',
  );
  t.equal(
    said(await send('GET', '/my/aips?limit=1', fresh)),
    '401 InvalidCredentials',
    'for another query',
  );
  t.equal(napi.requests.length, asked);
});

test('a date that is none is refused, however it is signed', async (t) => {
  const { napi, send } = await deploy(t);
  const request = { method: 'GET', url: '/my/aips', now: Date.now() };
  const { authorization = '' } = signed(KEYS.alice, KEY_ID, request);
  for (const date of ['garbage', '', 'NaN', '99:99', 'Sat, 32 Nov 2026']) {
    for (const name of ['date', 'x-date']) {
      const headers = { [name]: date, authorization };
      const answer = said(await send('GET', '/my/aips', headers));
      t.equal(answer, '400 InvalidHeader', `${name}: "${date}"`);
    }
  }
  const none = await send('GET', '/my/aips', { authorization });
  t.equal(said(none), '400 InvalidHeader', 'none at all');
  t.equal(napi.requests.length, 0);
});

test("a key signs for its own account, and for nobody's else", async (t) => {
  const { napi, call } = await deploy(t);
  const bob = { key: KEYS.bob, keyId: `/bob/keys/${KEYS.bob.md5}` };
  const cases: [string, object, string][] = [
    ['/alice/aips', bob, '403 NotAuthorized'],
    [`/${ALICE}/aips`, bob, '403 NotAuthorized'],
    ['/nobody/aips', bob, '404 ResourceNotFound'],
    ['/my/aips', { key: KEYS.bob }, '401 InvalidCredentials'],
    ['/my/aips', { keyId: bob.keyId }, '401 InvalidCredentials'],
    [
      '/my/aips',
      { keyId: `/nobody/keys/${KEYS.alice.md5}` },
      '401 InvalidCredentials',
    ],
    [
      '/my/aips',
      { key: KEYS.user, keyId: `/alice/keys/${KEYS.user.md5}` },
      '401 InvalidCredentials',
    ],
    [
      '/my/aips',
      { keyId: `/alice/users/deputy/keys/${KEYS.alice.md5}` },
      '401 InvalidCredentials',
    ],
    ['/my/aips', { keyId: '/my/keys/laptop' }, '401 InvalidCredentials'],
  ];
  for (const [url, who, expected] of cases) {
    t.equal(said(await call('GET', url, who)), expected, JSON.stringify(url));
  }
  t.equal(napi.requests.length, 0);
});

test('keys are revoked and accounts disabled while it runs', async (t) => {
  const clock = manualClock(Date.now());
  const accounts = accountFile(t);
  const napi = new MemoryNapi();
  const { url: at } = await startHttp(t, napi.routes());
  const { call } = await serve(t, { napi: at, accounts, clock });
  const other = makeKey();
  const write = (text: string) => {
    writeFileSync(accounts.file, text);
    clock.advance(1000);
  };
  const ask = async (who = {}) => said(await call('GET', '/my/aips', who));
  const renewed = { key: other, keyId: `/alice/keys/${other.md5}` };
  t.deepEqual(
    [await ask(), await ask(renewed)],
    ['200', '401 InvalidCredentials'],
  );
  write(JSON.stringify([account('alice', ALICE, other)]));
  t.deepEqual(
    [await ask(), await ask(renewed)],
    ['401 InvalidCredentials', '200'],
  );
  write('[{"half": ');
  t.equal(await ask(renewed), '200', 'a broken file changes nothing');
  const disabled = account('alice', ALICE, other, { disabled: true });
  write(JSON.stringify([disabled]));
  t.equal(await ask(renewed), '403 NotAuthorized');
  write(JSON.stringify(everyone()));
  t.equal(await ask(), '200');
});

test('the log says who asked for what and holds no secret', async (t) => {
  const lines: string[] = [];
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLogger({ name: 'cloudapi-aip', level: 'trace', stream });
  const napi = new MemoryNapi();
  const { url: at } = await startHttp(t, napi.routes());
  const { call, send } = await serve(t, {
    napi: at,
    accounts: accountFile(t),
    log,
    behind_proxy: true,
  });
  const body = { description: 'not for the log' };
  await call('POST', '/my/aips', {
    body,
    headers: { 'x-forwarded-for': '9.9.9.9, 10.1.1.1' },
  });
  await call('GET', '/my/aips', {
    key: KEYS.user,
    keyId: `/alice/users/deputy/keys/${KEYS.user.md5}`,
  });
  const refused = await call('GET', '/bob/aips');
  const unsigned = await send('GET', '/my/aips');
  t.deepEqual([refused.status, unsigned.status], [403, 401]);
  const audits = lines
    .map((line) => JSON.parse(line))
    .filter(({ component }) => component === 'audit');
  const [made, listed, denied, stranger] = audits;
  t.deepEqual(
    [made._audit, made.account, made.route, made.status, made.caller],
    [
      true,
      'alice',
      'createaip',
      201,
      { type: 'signature', ip: '10.1.1.1', keyId: KEY_ID },
    ],
  );
  t.equal(listed.caller.user, 'deputy');
  t.deepEqual([denied.account, denied.status], ['alice', 403]);
  t.deepEqual([stranger.account, stranger.status], [undefined, 401]);
  const whole = lines.join('');
  t.notOk(whole.includes('not for the log'), 'bodies are not in it');
  t.notOk(/signature=\\?"/.test(whole), 'signatures neither');
  const context = napi.requests[0]?.headers['x-context'];
  t.equal(JSON.parse(context ?? '').caller.keyId, KEY_ID, 'napi-nat is told');
});
