// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Accounts from mahi: its paths and JSON, absence, and every way in which it
 * can fail to answer, each of which must be 503 and never a wrong "no such".
 */

import test, { type Test } from 'tape';
import { ServiceError } from '#lib/errors.js';
import type { Request } from '#lib/http/types.js';
import { silentLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import { type ManualClock, manualClock } from '#test/manual-clock.js';
import { openMahi } from '../../../services/cloudapi-aip/accounts/mahi.js';
import type {
  AccountInfo,
  AccountSource,
} from '../../../services/cloudapi-aip/accounts/source.js';
import { deploy } from './deployment.js';
import { ALICE, BOB, deputy, everyone, KEYS } from './identities.js';

interface Mahi {
  url: string;
  source: AccountSource;
  clock: ManualClock;
  asked: string[];
  /** What it answers instead, when set. */
  broken: { status: number; body: unknown } | null;
}

function absent(code: string): ServiceError {
  return new ServiceError(404, { code, message: 'does not exist' });
}

function findAccount(wanted: unknown): AccountInfo {
  const found = everyone().find(
    ({ account, user }) =>
      !user && (account.login === wanted || account.uuid === wanted),
  );
  if (found === undefined) throw absent('AccountDoesNotExist');
  return found;
}

function findUser({ query, route }: Request): AccountInfo {
  const { user } = deputy();
  const hit =
    route['uuid'] === user?.uuid ||
    (query['account'] === 'alice' && query['login'] === 'deputy');
  if (hit) return deputy();
  if (query['fallback'] === 'false') throw absent('UserDoesNotExist');
  return findAccount(query['account']);
}

/** Alice's roles as pairs of UUID and name. */
const ROLES = Object.entries(deputy().roles ?? {}).map(
  ([uuid, { name }]) => [uuid, name] as const,
);

function findUuids({ query }: Request): object {
  if (query['account'] !== 'alice') throw absent('AccountDoesNotExist');
  const names = [query['name']].flat();
  const found = ROLES.filter(([, name]) => names.includes(name));
  const uuids = Object.fromEntries(found.map(([uuid, name]) => [name, uuid]));
  return { account: ALICE, uuids: query['type'] === 'role' ? uuids : {} };
}

function findNames({ query }: Request): object {
  const uuids = [query['uuid']].flat();
  return Object.fromEntries(ROLES.filter(([uuid]) => uuids.includes(uuid)));
}

/** A server that answers as mahi does, and the source that asks it. */
async function startMahi(t: Test): Promise<Mahi> {
  const clock = manualClock();
  const asked: string[] = [];
  const route = (path: string, find: (request: Request) => object) => ({
    method: 'GET' as const,
    path,
    name: path.replaceAll(/\W/g, ''),
    handler: (request: Request) => {
      asked.push(request.url);
      if (mahi.broken !== null) return mahi.broken;
      return { status: 200, body: find(request) };
    },
  });
  const { url } = await startHttp(t, [
    route('/accounts', ({ query }) => findAccount(query['login'])),
    route('/accounts/:uuid', (request) => findAccount(request.route['uuid'])),
    route('/users', findUser),
    route('/users/:uuid', findUser),
    route('/uuids', findUuids),
    route('/names', findNames),
  ]);
  const source = openMahi({ url, clock, timeoutMs: 5000, log: silentLogger() });
  t.teardown(() => source.close());
  const mahi: Mahi = { url, source, clock, asked, broken: null };
  return mahi;
}

test('accounts are found by login and by UUID', async (t) => {
  const { source, asked } = await startMahi(t);
  t.equal((await source.account('alice'))?.account.uuid, ALICE);
  t.equal((await source.account(BOB))?.account.login, 'bob');
  t.equal(await source.account('nobody'), null);
  t.equal(await source.account('11111111-0000-4000-8000-000000000009'), null);
  t.equal(
    await source.account('a/b?c&d=é'),
    null,
    'odd logins are only absent',
  );
  t.deepEqual(asked.slice(0, 2), ['/accounts?login=alice', `/accounts/${BOB}`]);
});

test('sub-users are found in their account only', async (t) => {
  const { source } = await startMahi(t);
  const uuid = deputy().user?.uuid as string;
  t.equal((await source.user('alice', 'deputy'))?.user?.login, 'deputy');
  t.equal((await source.user(ALICE, uuid))?.user?.login, 'deputy');
  t.equal(await source.user('alice', 'nobody'), null, 'no fallback');
  t.equal(await source.user('bob', 'deputy'), null);
  t.equal(await source.user('bob', uuid), null, "another account's UUID");
  t.equal(await source.user('nobody', 'deputy'), null);
});

test('answers are kept for a moment, absence is not', async (t) => {
  const { source, clock, asked } = await startMahi(t);
  await source.account('alice');
  clock.advance(299);
  await source.account('alice');
  t.equal(asked.length, 1);
  clock.advance(1);
  await source.account('alice');
  t.equal(asked.length, 2, 'asked again after 300 ms');
  await source.account('nobody');
  await source.account('nobody');
  t.equal(asked.length, 4);
});

test('whatever is wrong with mahi is 503', async (t) => {
  const mahi = await startMahi(t);
  const outcome = () =>
    mahi.source.account('alice').then(
      () => 'found',
      (error: ServiceError) => `${error.status} ${error.body.code}`,
    );
  for (const broken of [
    { status: 503, body: { code: 'RedisError', message: 'redis: gone' } },
    { status: 500, body: { code: 'InternalError', message: 'x' } },
    { status: 400, body: { code: 'BadRequest', message: 'x' } },
    { status: 200, body: {} },
    { status: 200, body: { account: { login: 'alice' } } },
    { status: 200, body: [] },
  ]) {
    mahi.broken = broken;
    t.equal(
      await outcome(),
      '503 ServiceUnavailableError',
      JSON.stringify(broken),
    );
  }
  mahi.broken = null;
  t.equal(await outcome(), 'found', 'and it is well again');
});

test('a mahi that cannot be reached is 503', async (t) => {
  const source = openMahi({
    url: 'http://127.0.0.1:1',
    clock: manualClock(),
    timeoutMs: 5000,
    log: silentLogger(),
  });
  t.teardown(() => source.close());
  const error = await source.account('alice').catch((e: unknown) => e);
  t.equal((error as ServiceError).status, 503);
});

test('the service lets in whom mahi knows, and nobody while it is down', async (t) => {
  const mahi = await startMahi(t);
  const { call, napi } = await deploy(t, { mahi_url: mahi.url });
  const { alice, user, bob } = KEYS;
  const signers: [typeof alice, string, number][] = [
    [alice, `/alice/keys/${alice.md5}`, 200],
    [alice, `/alice/keys/${alice.sha256}`, 200],
    [user, `/alice/users/deputy/keys/${user.md5}`, 200],
    [user, `/alice/users/nobody/keys/${user.md5}`, 401],
    [bob, `/nobody/keys/${bob.md5}`, 401],
    [bob, `/alice/keys/${alice.md5}`, 401],
  ];
  for (const [key, keyId, status] of signers) {
    t.equal((await call('GET', '/my/aips', { key, keyId })).status, status);
  }
  mahi.broken = {
    status: 503,
    body: { code: 'RedisError', message: 'r:6379' },
  };
  const before = napi.requests.length;
  const down = await call('GET', '/my/aips', {
    key: bob,
    keyId: `/bob/keys/${bob.md5}`,
  });
  t.equal(down.status, 503);
  t.notOk(down.text.includes('6379'), 'nothing of the inside is told');
  t.equal(napi.requests.length, before, 'napi-nat was not asked');
});

test('names and UUIDs of roles are asked for', async (t) => {
  const mahi = await startMahi(t);
  const { account: alice } = (await mahi.source.account(
    'alice',
  )) as AccountInfo;
  const { account: bob } = (await mahi.source.account('bob')) as AccountInfo;
  const all = new Map(ROLES);
  const names = [...all.values()];
  const uuids = await mahi.source.roleUuids(alice, [...names, 'lords']);
  t.deepEqual(
    [...uuids],
    ROLES.map(([uuid, name]) => [name, uuid]),
  );
  t.equal((await mahi.source.roleUuids(alice, ['reader'])).size, 1, 'one');
  t.equal((await mahi.source.roleUuids(bob, names)).size, 0, 'no such: none');
  const back = await mahi.source.roleNames(alice, [...all.keys(), ALICE]);
  t.deepEqual([...back], ROLES);
  mahi.broken = { status: 200, body: { uuids: 7 } };
  t.equal((await mahi.source.roleUuids(alice, names)).size, 0, 'an odd answer');
  mahi.broken = { status: 500, body: { code: 'RedisError', message: 'x' } };
  const failed = await mahi.source
    .roleNames(alice, names)
    .catch((error: ServiceError) => error.status);
  t.equal(failed, 503);
});

test("mahi's parsed rules decide what a sub-user may do", async (t) => {
  const mahi = await startMahi(t);
  const [[reader] = []] = ROLES.filter(([, name]) => name === 'reader');
  const parsed = {
    effect: true,
    actions: { exact: { listaips: true }, regex: [] },
    resources: { exact: {}, regex: ['/\\/alice\\/aips.*/'] },
    conditions: ['=', { name: 'sourceip', type: 'ip' }, '127.0.0.0/8'],
  };
  const info = deputy({ defaultRoles: [reader as string] });
  const roles = {
    ...info.roles,
    [reader as string]: {
      name: 'reader',
      account: ALICE,
      rules: [
        ['CAN listaips /alice/aips* WHEN sourceip = 127.0.0.0/8', parsed],
      ],
    },
  };
  const { call } = await deploy(t, { mahi_url: mahi.url });
  const deputyCall = {
    key: KEYS.user,
    keyId: `/alice/users/deputy/keys/${KEYS.user.md5}`,
  };
  mahi.broken = { status: 200, body: { ...info, roles } };
  t.equal((await call('GET', '/my/aips', deputyCall)).status, 200);
  const made = await call('POST', '/my/aips', { ...deputyCall, body: {} });
  t.equal(made.status, 403, 'another action');
});
