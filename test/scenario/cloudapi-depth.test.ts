// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a customer gets beyond RFD 158, through cloudapi-aip and a real
 * napi-nat. Every answer is held to the OpenAPI document on the way.
 */

import test from 'tape';
import { ALICE } from '../unit/cloudapi-aip/identities.js';
import {
  as,
  type CloudWorld,
  INSTANCE,
  outcome,
  SECOND,
  startCloud,
} from './cloudapi-world.js';

interface Shown {
  id: string;
  ip: string;
  state: string;
  family: string;
  deletion_protection: boolean;
  belongs_to_uuid?: string;
}

async function create(
  { call }: CloudWorld,
  body: object = {},
  headers: Record<string, string> = {},
): Promise<Shown> {
  return (await call('POST', '/my/aips', { body, headers })).body as Shown;
}

test('a state is waited for in one call', async (t) => {
  const world = await startCloud(t);
  const made = await create(world, { instance: INSTANCE });
  t.deepEqual([made.state, made.family], ['attaching', 'ipv4']);
  const path = `/my/aips/${made.id}`;
  const early = await world.call('GET', `${path}?wait=attached&timeout=0`);
  t.equal((early.body as Shown).state, 'attaching');
  const waiting = world.call('GET', `${path}?wait=attached`);
  await world.beat();
  t.equal(((await waiting).body as Shown).state, 'attached');
  await world.call('POST', `${path}?detach=true`, { body: {} });
  const gone = world.call('GET', `${path}?wait=detached&timeout=50`);
  await world.beat();
  t.equal(((await gone).body as Shown).state, 'detached');
});

test('etags are quoted, heeded and passed on', async (t) => {
  const world = await startCloud(t);
  const { id } = await create(world);
  const path = `/my/aips/${id}`;
  const etag = (await world.call('GET', path)).headers.etag ?? '';
  t.match(etag, /^"[^"]+"$/);
  const known = await world.call('GET', path, {
    headers: { 'if-none-match': etag },
  });
  t.deepEqual([known.status, known.text, known.headers.etag], [304, '', etag]);
  const put = (match: string) =>
    world.call('PUT', path, {
      body: { description: 'x' },
      headers: { 'if-match': match },
    });
  t.equal(outcome(await put(etag)), '200');
  t.equal(outcome(await put(etag)), '412 PreconditionFailed');
  t.equal(outcome(await put('*')), '200');
  const drop = await world.call('DELETE', path, {
    headers: { 'if-match': etag },
  });
  t.equal(outcome(drop), '412 PreconditionFailed');
});

test('a create that is sent again is the same create', async (t) => {
  const world = await startCloud(t);
  const send = (body: object, key = 'retry-1') =>
    world.call('POST', '/my/aips', {
      body,
      headers: { 'idempotency-key': key },
    });
  const body = { instance: INSTANCE, 'private-ip': '10.4.4.2' };
  const answers = await Promise.all([1, 2, 3, 4].map(() => send(body)));
  t.equal(new Set(answers.map(({ text }) => text)).size, 1, 'one answer');
  t.deepEqual(
    [...new Set(answers.map((a) => `${a.status} ${a.headers.location}`))],
    [`201 /alice/aips/${(answers[0]?.body as Shown | undefined)?.id}`],
  );
  const respelt = { private_ip: '10.4.4.2', instance: INSTANCE };
  t.equal((await send(respelt)).text, answers[0]?.text, 'by the other name');
  const list = await world.call('GET', '/my/aips');
  t.equal(list.headers['x-resource-count'], '1');
  t.equal(
    outcome(await send({ instance: SECOND })),
    '422 IdempotencyKeyReused',
  );
  t.equal(outcome(await send({}, 'a key')), '409 InvalidArgument');
});

test('lists are filtered and paged', async (t) => {
  const world = await startCloud(t);
  const a = await create(world, { instance: INSTANCE, tags: { tier: 'web' } });
  const b = await create(world, { tags: { tier: 'db', gold: true } });
  const c = await create(world, { instance: SECOND });
  await world.beat();
  const names = new Map([a, b, c].map(({ id }, i) => [id, 'abc'[i]]));
  const cases: [string, string][] = [
    ['', 'abc'],
    [`ip=${b.ip}`, 'b'],
    [`instance=${SECOND}`, 'c'],
    [`belongs_to_uuid=${INSTANCE}`, 'a'],
    ['state=attached', 'ac'],
    ['attached=false', 'b'],
    ['tag.tier=web', 'a'],
    ['tag.gold=true', 'b'],
    ['tag.gold=true&tag.tier=web', ''],
    ['limit=2', 'ab'],
    ['limit=2&offset=1', 'bc'],
    [`limit=1&marker=${a.id}`, 'b'],
    [`marker=${c.id}`, ''],
  ];
  for (const [query, expected] of cases) {
    const { body, headers } = await world.call('GET', `/my/aips?${query}`);
    const found = (body as Shown[]).map(({ id }) => names.get(id)).join('');
    t.equal(found, expected, query);
    t.equal(headers['x-resource-count'], String(expected.length));
  }
  for (const query of ['state=gone', 'attached=1', 'tag.a=1&tag.a=2', 'ip=x']) {
    const answer = await world.call('GET', `/my/aips?${query}`);
    t.equal(outcome(answer), '409 InvalidArgument', query);
  }
});

test('protected AIPs stay, quotas hold, limits are told', async (t) => {
  const world = await startCloud(t, { aip_quota: 2 });
  const made = await create(world, { deletion_protection: true });
  t.equal(made.deletion_protection, true);
  const path = `/my/aips/${made.id}`;
  t.equal(
    outcome(await world.call('DELETE', `${path}?really_delete=true`)),
    '409 CannotDestroyAIPError',
  );
  await create(world);
  const third = await world.call('POST', '/my/aips', { body: {} });
  t.equal(outcome(third), '403 NotAuthorized');
  t.match(third.text, /Quota exceeded/);
  const limits = await world.call('GET', '/my/aips/limits');
  t.deepEqual(limits.body, [{ by: 'aips', used: 2, value: 2 }]);
  await world.call('PUT', path, { body: { deletion_protection: false } });
  t.equal(outcome(await world.call('DELETE', path)), '204');
  t.equal((await world.call('POST', '/my/aips', { body: {} })).status, 201);
});

test('the audit names who did it, also after the end', async (t) => {
  const world = await startCloud(t);
  const { id } = await create(world);
  const path = `/my/aips/${id}`;
  await world.call('PUT', path, { body: { instance: INSTANCE } });
  await world.call('POST', `${path}?detach=true`, { body: {} });
  await world.call('DELETE', path);
  const { body } = await world.call('GET', `${path}/audit`);
  const entries = body as {
    action: string;
    caller: { keyId?: string; ip?: string };
  }[];
  t.deepEqual(
    entries.map(({ action }) => action),
    ['delete', 'detach', 'assign', 'create'],
  );
  t.match(String(entries[0]?.caller.keyId), /^\/alice\/keys\//);
  t.ok(entries[0]?.caller.ip?.endsWith('127.0.0.1'));
  t.equal(
    outcome(await world.call('GET', `${path}/audit`, as('bob'))),
    '404 ResourceNotFound',
  );
});

test('sub-users do what the roles on a resource allow', async (t) => {
  const world = await startCloud(t);
  const { call } = world;
  const { id } = await create(world);
  const one = `/my/aips/${id}`;
  const [rita, ed] = [as('rita'), as('ed')];
  const rename = { ...ed, body: { description: 'x' } };
  t.equal(
    outcome(await call('GET', one, rita)),
    '403 NotAuthorized',
    'untagged',
  );
  const tag = await call('PUT', one, { body: { 'role-tag': ['readers'] } });
  t.deepEqual(tag.body, { name: `/alice/aips/${id}`, 'role-tag': ['readers'] });
  const seen = await call('GET', one, rita);
  t.deepEqual([seen.status, seen.headers['role-tag']], [200, 'readers']);
  t.equal(outcome(await call('GET', '/my/aips', rita)), '403 NotAuthorized');
  await call('PUT', '/my/aips', {
    body: { 'role-tag': ['readers', 'editors'] },
  });
  t.equal(
    (await call('GET', '/my/aips', rita)).headers['role-tag'],
    'readers,editors',
  );
  t.equal(
    outcome(await call('PUT', one, rename)),
    '403 NotAuthorized',
    'a reader only',
  );
  const asEditor = `${one}?as-role=editors`;
  t.equal(
    outcome(await call('PUT', asEditor, rename)),
    '403 NotAuthorized',
    'not its tag',
  );
  await call('PUT', one, { body: { 'role-tag': ['readers', 'editors'] } });
  t.equal(outcome(await call('PUT', asEditor, rename)), '200');
  const grab = { ...ed, body: { 'role-tag': ['editors'], description: 'y' } };
  t.equal(
    outcome(await call('PUT', asEditor, grab)),
    '403 NotAuthorized',
    'tags are another action',
  );
  t.equal(
    outcome(await call('PUT', asEditor, { ...rita, body: {} })),
    '403 NotAuthorized',
    'a role that is not held',
  );
  t.equal(outcome(await call('DELETE', asEditor, ed)), '403 NotAuthorized');
  const mine = await call('POST', '/my/aips?as-role=editors', {
    ...ed,
    body: {},
  });
  t.deepEqual(
    [mine.status, mine.headers['role-tag']],
    [201, 'editors'],
    'its own',
  );
  const path = `/my/aips/${(mine.body as Shown).id}?as-role=editors`;
  t.equal(outcome(await call('GET', path, ed)), '200');
  const audit = await call('GET', `/my/aips/${(mine.body as Shown).id}/audit`);
  const [entry] = audit.body as { caller: { user?: string } }[];
  t.equal(entry?.caller.user, 'ed');
  const both = await call('POST', '/my/aips', {
    body: {},
    headers: { 'role-tag': 'readers, editors' },
  });
  t.equal(both.headers['role-tag'], 'readers,editors');
  const none = await call('PUT', one, { body: { 'role-tag': ['lords'] } });
  t.equal(outcome(none), '409 InvalidArgument');
  t.match(none.text, /Role\(s\) lords not found/);
  t.equal(
    outcome(await call('GET', `/${ALICE}/aips/${id}`, as('bob'))),
    '403 NotAuthorized',
  );
});

test('too many requests of one account are put off, others are not', async (t) => {
  const world = await startCloud(
    t,
    {},
    {
      throttle: { burst: 3, rate: 0.001, exempt: ['bob'] },
    },
  );
  const ask = (who?: 'bob') =>
    world.call('GET', '/my/aips', who === undefined ? {} : as(who));
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask()));
  const told = answers.map(outcome).sort();
  t.deepEqual(told, [
    '200',
    '200',
    '200',
    ...Array(3).fill('429 TooManyRequestsError'),
  ]);
  const late = answers.find(({ status }) => status === 429);
  t.match(String(late?.headers['retry-after']), /^[1-9]\d*$/);
  for (let i = 0; i < 5; i++) t.equal((await ask('bob')).status, 200);
  t.equal((await world.send('GET', '/--ping')).status, 200);
});
