// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What `/aips` does beyond RFD 158, on a running napi-nat: one answer for one
 * Idempotency-Key, quotas that hold, protection, states that say what zones
 * have applied, audit entries, filters.
 */

import test, { type Test } from 'tape';
import type { Aip } from '#lib/model/aip.js';
import type { Dataplane } from '#lib/model/dataplane.js';
import {
  addFabric,
  addNic,
  type NatWorld,
  startWorld,
  uuidOf,
  type WorldOptions,
} from '#test/nat-world.js';
import { until } from '#test/until.js';

const OWNER = uuidOf(1, 1);
const OTHER = uuidOf(1, 2);
const INSTANCE = uuidOf(2, 1);
const SECOND = uuidOf(2, 2);
const ZONES = [uuidOf(7, 1), uuidOf(7, 2)];

/** A fabric with two instances, and zones that say nothing of themselves. */
async function setUp(
  t: Test,
  zones = 1,
  options: WorldOptions = {},
): Promise<NatWorld> {
  const world = await startWorld(t, { heartbeat_ms: 60_000, ...options });
  for (const [n, uuid] of ZONES.slice(0, zones).entries()) {
    await world.must('POST', '/nat_zones', {
      uuid,
      ul3_ip: `127.0.0.${11 + n}`,
      external_ip: `3.3.3.${251 + n}`,
    });
    await beat(world, uuid);
  }
  await until(
    'the zones to be in service',
    () => world.must<{ state: string }[]>('GET', '/nat_zones'),
    (all) => all.every(({ state }) => state === 'up'),
  );
  const { uuid } = await addFabric(world, OWNER, 2, '10.4.4.0/24');
  for (const instance of [INSTANCE, SECOND]) {
    await addNic(world, { owner: OWNER, instance, network: uuid });
  }
  return world;
}

let beats = 0;

/** A zone says that it has applied everything, or everything up to there. */
async function beat(world: NatWorld, zone: string, upTo?: number) {
  const plane = await world.must<Dataplane>('GET', '/dataplane');
  beats += 1;
  await world.must('POST', `/nat_zones/${zone}/heartbeat`, {
    progress: beats,
    position: upTo ?? plane.position,
    digest: plane.digest,
    announced: [],
    flows: 0,
  });
  return plane.position;
}

const one = (uuid: string) => `/aips/${uuid}?owner_uuid=${OWNER}`;

async function stateOf(world: NatWorld, uuid: string): Promise<string> {
  return (await world.must<Aip>('GET', one(uuid))).state;
}

test('a state says what the zones have applied', async (t) => {
  const world = await setUp(t, 2);
  const [first = '', second = ''] = ZONES;
  const { uuid, state } = await world.must<Aip>('POST', '/aips', {
    owner_uuid: OWNER,
  });
  t.equal(state, 'detached', 'one that never pointed anywhere');
  const put = await world.must<Aip>('PUT', one(uuid), { instance: INSTANCE });
  t.equal(put.state, 'attaching');
  const before = (await beat(world, first)) - 1;
  t.equal(await stateOf(world, uuid), 'attaching', 'one zone is behind');
  await beat(world, second, before);
  t.equal(await stateOf(world, uuid), 'attaching', 'by one event still');
  await beat(world, second);
  t.equal(await stateOf(world, uuid), 'attached');
  const worded = await world.must<Aip>('PUT', one(uuid), { description: 'x' });
  t.equal(worded.state, 'attached', 'words move nothing');
  await world.must('POST', `${one(uuid)}&detach=true`);
  t.equal(await stateOf(world, uuid), 'detaching');
  await beat(world, first);
  await beat(world, second);
  t.equal(await stateOf(world, uuid), 'detached');
});

test('who waits for a state is told when it is reached', async (t) => {
  const world = await setUp(t);
  const [zone = ''] = ZONES;
  const { uuid } = await world.must<Aip>('POST', '/aips', {
    owner_uuid: OWNER,
    instance: INSTANCE,
  });
  const short = await world.must<Aip>(
    'GET',
    `${one(uuid)}&wait=attached&timeout=0`,
  );
  t.equal(short.state, 'attaching', 'time is up: as it is');
  const waiting = world.must<Aip>('GET', `${one(uuid)}&wait=attached`);
  await beat(world, zone);
  t.equal((await waiting).state, 'attached');
  const leaving = world.must<Aip>('GET', `${one(uuid)}&wait=detached`);
  await world.must('POST', `${one(uuid)}&detach=true`);
  await beat(world, zone);
  t.equal((await leaving).state, 'detached');
  const lost = world.call('GET', `${one(uuid)}&wait=attached`);
  await world.must('DELETE', one(uuid));
  t.equal((await lost).status, 404, 'deleted meanwhile');
  for (const [query, field] of [
    ['wait=gone', 'wait'],
    ['wait=attached&timeout=51', 'timeout'],
  ] as const) {
    const { status, body } = await world.call<{ errors: { field: string }[] }>(
      'GET',
      `${one(uuid)}&${query}`,
    );
    t.deepEqual([status, body.errors[0]?.field], [422, field], query);
  }
});

test('the etag of an answer changes with its state', async (t) => {
  const world = await setUp(t);
  const { uuid } = await world.must<Aip>('POST', '/aips', {
    owner_uuid: OWNER,
    instance: INSTANCE,
  });
  const early = (await world.call('GET', one(uuid))).headers.get('etag') ?? '';
  await beat(world, ZONES[0] as string);
  const get = await world.call('GET', one(uuid), undefined, {
    'if-none-match': early,
  });
  t.equal(get.status, 200, 'no 304 for an answer that has changed');
  const put = (match: string, description: string) =>
    world.call('PUT', one(uuid), { description }, { 'if-match': match });
  t.equal((await put(early, 'a')).status, 200, 'the record had not');
  t.equal((await put(early, 'b')).status, 412, 'now it has');
  const late = (await world.call('GET', one(uuid))).headers.get('etag') ?? '';
  t.equal((await put(`"${late}"`, 'b')).status, 200);
});

test('one Idempotency-Key, one AIP', async (t) => {
  const world = await setUp(t);
  const create = (body: object, key = 'k1') =>
    world.call<Aip>('POST', '/aips', body, { 'idempotency-key': key });
  const body = { owner_uuid: OWNER, instance: INSTANCE, tags: { a: 1, b: 2 } };
  const again = { owner_uuid: OWNER, tags: { b: 2, a: 1 }, instance: INSTANCE };
  const answers = await Promise.all([
    ...Array.from({ length: 8 }, () => create(body)),
    create(again),
  ]);
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  t.equal(new Set(answers.map((a) => JSON.stringify(a.body))).size, 1);
  t.equal(
    new Set(answers.map(({ headers }) => headers.get('etag'))).size,
    1,
    'the etag too',
  );
  const all = await world.must<Aip[]>('GET', `/aips?owner_uuid=${OWNER}`);
  t.equal(all.length, 1);
  await beat(world, ZONES[0] as string);
  t.equal((await create(body)).body.state, 'attaching', 'the first answer');
  const other = await create({ ...body, description: 'x' });
  t.deepEqual(
    [other.status, (other.body as unknown as { code: string }).code],
    [422, 'IdempotencyKeyReused'],
  );
  const theirs = await create({ owner_uuid: OTHER });
  t.equal(theirs.status, 200, "another owner's key is another key");
  const refused = { owner_uuid: OWNER, instance: INSTANCE };
  t.equal((await create(refused, 'k2')).status, 409);
  const { uuid } = (await create(body)).body;
  await world.must('POST', `${one(uuid)}&detach=true`);
  t.equal((await create(refused, 'k2')).status, 200, 'a refusal is not kept');
  const key = { 'idempotency-key': 'k3' };
  t.equal((await world.call('DELETE', one(uuid), undefined, key)).status, 204);
  t.equal((await world.call('DELETE', one(uuid), undefined, key)).status, 204);
  t.equal((await world.call('DELETE', one(uuid))).status, 404);
  for (const bad of ['', 'a b', 'x'.repeat(256)]) {
    t.equal((await create(body, bad)).status, 422, `"${bad.slice(0, 9)}"`);
  }
});

test('a quota holds against requests at once', async (t) => {
  const world = await setUp(t, 1, { aip_quota: 3 });
  const create = () => world.call('POST', '/aips', { owner_uuid: OWNER });
  const answers = await Promise.all(Array.from({ length: 12 }, create));
  const codes = answers.map(({ body }) => (body['code'] as string) ?? 'made');
  t.equal(codes.filter((code) => code === 'made').length, 3);
  t.equal(codes.filter((code) => code === 'QuotaExceeded').length, 9);
  const account = () => world.must('GET', `/aip_accounts/${OWNER}`);
  t.deepEqual(await account(), {
    owner_uuid: OWNER,
    used: 3,
    quota: 3,
    role_tags: [],
  });
  await world.must('PUT', `/aip_accounts/${OWNER}`, { quota: 4 });
  const fourth = (await create()).body['uuid'] as string;
  t.equal((await create()).status, 409);
  await world.must('DELETE', one(fourth));
  t.equal((await account())['used'], 3);
  await world.must('PUT', `/aip_accounts/${OWNER}`, { quota: null });
  t.equal((await account())['quota'], 3, 'the configured one again');
  t.equal(
    (await world.call('POST', '/aips', { owner_uuid: OTHER })).status,
    200,
  );
});

test('a protected AIP is not deleted, whatever is said', async (t) => {
  const world = await setUp(t);
  const made = await world.must<Aip>('POST', '/aips', {
    owner_uuid: OWNER,
    deletion_protection: true,
  });
  t.equal(made.deletion_protection, true);
  const refused = await world.call(
    'DELETE',
    `${one(made.uuid)}&really_delete=true`,
  );
  t.deepEqual(
    [refused.status, refused.body['code']],
    [409, 'CannotDestroyAIPError'],
  );
  await world.must('PUT', one(made.uuid), { deletion_protection: false });
  t.equal((await world.call('DELETE', one(made.uuid))).status, 204);
});

test('the audit outlives the AIP and names the caller', async (t) => {
  const world = await setUp(t);
  const caller = { type: 'signature', ip: '10.0.0.9', keyId: '/a/keys/k' };
  const headers = { 'x-context': JSON.stringify({ caller }) };
  const made = await world.call<Aip>(
    'POST',
    '/aips',
    { owner_uuid: OWNER },
    headers,
  );
  const { uuid } = made.body;
  await world.must('PUT', one(uuid), { instance: INSTANCE });
  await world.call('PUT', one(uuid), { instance: SECOND }, headers);
  const nics = await world.must<{ mac: string }[]>(
    'GET',
    `/nics?belongs_to_uuid=${INSTANCE}&belongs_to_type=zone`,
  );
  await world.must('DELETE', `/nics/${nics[0]?.mac.replaceAll(':', '')}`);
  await world.call('DELETE', one(uuid), undefined, {
    'x-context': '{"caller":{"type":"signature","ip":7',
  });
  const path = `/aips/${uuid}/audit`;
  const entries = await world.must<
    { action: string; success: string; caller: { type: string } }[]
  >('GET', `${path}?owner_uuid=${OWNER}`);
  t.deepEqual(
    entries.map((entry) => `${entry.action} by ${entry.caller.type}`),
    [
      'delete by operator',
      'detach by system',
      'assign by operator',
      'create by signature',
    ],
    'newest first; what was refused is not in it',
  );
  t.deepEqual(entries.at(-1)?.caller, caller);
  t.equal((await world.call('GET', `${path}?owner_uuid=${OTHER}`)).status, 404);
});

test('lists are filtered by everything that can be asked', async (t) => {
  const world = await setUp(t);
  const create = (body: object) =>
    world.must<Aip>('POST', '/aips', { owner_uuid: OWNER, ...body });
  const a = await create({ instance: INSTANCE, tags: { role: 'web', n: 1 } });
  const b = await create({ tags: { role: 'db', n: 1 } });
  await create({ instance: SECOND, tags: { role: 'web' } });
  const ask = async (query: string) =>
    (await world.must<Aip[]>('GET', `/aips?owner_uuid=${OWNER}&${query}`)).map(
      ({ uuid }) => (uuid === a.uuid ? 'a' : uuid === b.uuid ? 'b' : 'c'),
    );
  const cases: [string, string[]][] = [
    ['', ['a', 'b', 'c']],
    [`ip=${b.ip}`, ['b']],
    [`belongs_to_uuid=${SECOND}`, ['c']],
    ['attached=true', ['a', 'c']],
    ['attached=false', ['b']],
    ['state=attaching', ['a', 'c']],
    ['state=attached', []],
    ['state=detached', ['b']],
    ['tag.role=web', ['a', 'c']],
    ['tag.n=1', ['a', 'b']],
    ['tag.role=web&tag.n=1', ['a']],
    ['tag.role=WEB', []],
    ['tag.constructor=x', []],
    ['tag.role=web&limit=1', ['a']],
    ['tag.role=web&limit=1&offset=1', ['c']],
    [`tag.role=web&marker=${a.uuid}`, ['c']],
    [`state=detached&marker=${b.uuid}`, []],
  ];
  for (const [query, expected] of cases) {
    t.deepEqual(await ask(query), expected, query);
  }
  await beat(world, ZONES[0] as string);
  t.deepEqual(await ask('state=attached'), ['a', 'c']);
  const twice = await world.call('GET', '/aips?tag.a=1&tag.a=2');
  t.equal(twice.status, 422);
});
