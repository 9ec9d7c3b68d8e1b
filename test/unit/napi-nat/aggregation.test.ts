// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/aggregations` (facts: triton-napi 6.4). */

import test from 'tape';
import { ADMIN, type NatWorld, startWorld, uuidOf } from '#test/nat-world.js';

type Body = Record<string, unknown>;
const SERVER = uuidOf(9, 1);

function mac(n: number): string {
  return `90:b8:d0:00:00:${n.toString(16).padStart(2, '0')}`;
}

async function addNic(
  world: NatWorld,
  n: number,
  more: object = {},
): Promise<string> {
  await world.must('POST', '/nics', {
    mac: mac(n),
    belongs_to_uuid: SERVER,
    belongs_to_type: 'server',
    owner_uuid: ADMIN,
    ...more,
  });
  return mac(n);
}

test('an aggregation is made, listed, changed and removed', async (t) => {
  const world = await startWorld(t);
  const macs = [await addNic(world, 2), await addNic(world, 1)];
  const made = await world.call('POST', '/aggregations', {
    name: 'aggr0',
    macs,
    nic_tags_provided: ['external'],
  });
  const id = `${SERVER}-aggr0`;
  const expected = {
    belongs_to_uuid: SERVER,
    id,
    lacp_mode: 'off',
    name: 'aggr0',
    macs,
    nic_tags_provided: ['external'],
  };
  t.deepEqual([made.status, made.body], [200, expected]);
  const path = `/aggregations/${id}`;
  const got = await world.call('GET', path);
  t.deepEqual(got.body, expected);
  const etag = got.headers.get('etag') as string;
  t.equal(etag, made.headers.get('etag'));
  const changed = await world.call(
    'PUT',
    path,
    { lacp_mode: 'active', macs: macs[1], nic_tags_provided: [] },
    { 'if-match': etag },
  );
  t.deepEqual(changed.body, {
    belongs_to_uuid: SERVER,
    id,
    lacp_mode: 'active',
    name: 'aggr0',
    macs: [macs[1]],
  });
  const late = await world.call('DELETE', path, undefined, {
    'if-match': etag,
  });
  t.equal(late.status, 412);
  t.equal((await world.call('DELETE', path)).status, 204);
  const gone = await world.call('GET', path);
  t.deepEqual(gone.body, {
    code: 'ResourceNotFound',
    message: 'aggregation not found',
  });
});

test('aggregations are found by server, MAC and NIC tag', async (t) => {
  const world = await startWorld(t);
  const other = uuidOf(9, 2);
  const [one, two] = [await addNic(world, 1), await addNic(world, 2)];
  const three = await addNic(world, 3, { belongs_to_uuid: other });
  for (const [name, macs, tags] of [
    ['aggr1', [one], ['external']],
    ['aggr0', [two], ['sdc_underlay']],
    ['aggr0', [three], []],
  ] as const) {
    await world.must('POST', '/aggregations', {
      name,
      macs,
      nic_tags_provided: tags,
    });
  }
  const ids = async (query: string) =>
    (await world.must<Body[]>('GET', `/aggregations?${query}`)).map(
      (each) => each['id'],
    );
  const all = [`${SERVER}-aggr0`, `${SERVER}-aggr1`, `${other}-aggr0`];
  t.deepEqual(await ids(''), all);
  t.deepEqual(await ids('limit=1&offset=1'), [all[1]]);
  t.deepEqual(await ids(`belongs_to_uuid=${other}`), [all[2]]);
  t.deepEqual(await ids(`macs=${one},${three}`), [all[1], all[2]]);
  t.deepEqual(await ids('nic_tags_provided=external'), [all[1]]);
});

test('what is wrong with an aggregation is said by field', async (t) => {
  const world = await startWorld(t);
  const [one, two] = [await addNic(world, 1), await addNic(world, 2)];
  const alien = await addNic(world, 3, { belongs_to_uuid: uuidOf(9, 2) });
  const zone = await addNic(world, 4, { belongs_to_type: 'zone' });
  await world.must('POST', '/aggregations', { name: 'aggr0', macs: [one] });
  const many = Array.from({ length: 17 }, (_, n) => mac(100 + n));
  const modes = 'Invalid LACP mode. Supported modes: off, active, passive';
  const cases: [object, string, string, unknown?][] = [
    [{ name: undefined }, 'name', 'Missing parameter'],
    [{ name: 'aggr' }, 'name', 'must end in a number'],
    [
      { name: 'a-1' },
      'name',
      'must only contain numbers, letters and underscores',
    ],
    [
      { name: `a${'1'.repeat(31)}` },
      'name',
      'must not be longer than 31 characters',
    ],
    [
      { name: 'aggr0' },
      'name',
      'aggregation with same belongs_to_uuid and name already exists',
    ],
    [{ macs: 5 }, 'macs', 'must be an array of MAC addresses'],
    [{ macs: [] }, 'macs', 'must specify at least one MAC address'],
    [
      { macs: [{}, 'x', 5] },
      'macs',
      'invalid MAC addresses',
      ['5', 'object', 'x'],
    ],
    [{ macs: many }, 'macs', 'maximum of 16 MAC addresses supported'],
    [{ macs: [one, mac(9)] }, 'macs', 'unknown MAC addresses', [mac(9)]],
    [
      { macs: [one, alien] },
      'macs',
      'belongs_to_uuid must match for all nics in the aggregation',
    ],
    [
      { macs: [one, zone] },
      'macs',
      'all nics must have belongs_to_uuid of type server',
      [zone],
    ],
    [{ lacp_mode: 'on' }, 'lacp_mode', modes],
    [{ lacp_mode: 5 }, 'lacp_mode', 'must be a string'],
    [
      { nic_tags_provided: ['x', 'y'] },
      'nic_tags_provided',
      'nic tags do not exist',
      ['x', 'y'],
    ],
  ];
  for (const [change, field, message, invalid] of cases) {
    const answer = await world.call<Body>('POST', '/aggregations', {
      name: 'aggr1',
      macs: [two],
      ...change,
    });
    const [error] = (answer.body['errors'] ?? []) as Body[];
    t.equal(answer.status, 422, JSON.stringify(change).slice(0, 70));
    t.deepEqual([error?.['field'], error?.['message']], [field, message]);
    if (invalid) t.deepEqual(error?.['invalid'], invalid);
  }
  const path = `/aggregations/${SERVER}-aggr0`;
  const moved = await world.call<Body>('PUT', path, { macs: [alien] });
  t.equal(moved.status, 422, 'an aggregation keeps its server');
  t.equal((await world.must<unknown[]>('GET', '/aggregations')).length, 1);
});
