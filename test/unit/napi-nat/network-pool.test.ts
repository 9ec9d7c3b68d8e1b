// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/network_pools`, and provisioning on one (facts: triton-napi 6.2, 5.3). */

import test from 'tape';
import { ADMIN, type NatWorld, startWorld, uuidOf } from '#test/nat-world.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);
const NIC = {
  belongs_to_uuid: uuidOf(2, 1),
  belongs_to_type: 'zone',
  owner_uuid: OWNER,
};

/** Network `5-n`: 10.n.0.0/24 with two addresses. */
async function addNetwork(
  world: NatWorld,
  n: number,
  more: object = {},
): Promise<string> {
  const made = await world.must('POST', '/networks', {
    name: `net${n}`,
    uuid: uuidOf(5, n),
    nic_tag: 'external',
    vlan_id: 7,
    subnet: `10.${n}.0.0/24`,
    provision_start_ip: `10.${n}.0.10`,
    provision_end_ip: `10.${n}.0.11`,
    ...more,
  });
  return made['uuid'] as string;
}

async function errorsOf(
  world: NatWorld,
  method: string,
  path: string,
  body: object,
): Promise<Body[]> {
  const answer = await world.call<Body>(method, path, body);
  return (answer.body['errors'] ?? [{ status: answer.status }]) as Body[];
}

test('a pool is made, listed, changed and removed', async (t) => {
  const world = await startWorld(t);
  const [one, two] = [await addNetwork(world, 1), await addNetwork(world, 2)];
  const made = await world.call('POST', '/network_pools', {
    name: 'both',
    uuid: uuidOf(6, 1),
    description: 'for tests',
    networks: [two, one, two],
  });
  const expected = {
    family: 'ipv4',
    uuid: uuidOf(6, 1),
    name: 'both',
    description: 'for tests',
    networks: [one, two],
    nic_tags_present: ['external'],
    nic_tag: 'external',
  };
  t.deepEqual(made.body, expected, 'networks are sorted');
  const path = `/network_pools/${uuidOf(6, 1)}`;
  const got = await world.call('GET', path);
  t.deepEqual(got.body, expected);
  const etag = got.headers.get('etag') as string;
  t.equal(etag, made.headers.get('etag'));
  const same = await world.call('GET', path, undefined, {
    'if-none-match': etag,
  });
  t.equal(same.status, 304);
  const changed = await world.call(
    'PUT',
    path,
    { name: 'one', networks: one, owner_uuids: [OWNER] },
    { 'if-match': etag },
  );
  t.deepEqual(changed.body, {
    ...expected,
    name: 'one',
    networks: [one],
    owner_uuids: [OWNER],
  });
  const late = await world.call('PUT', path, {}, { 'if-match': etag });
  t.equal(late.status, 412);
  const cleared = await world.must('PUT', path, {
    owner_uuids: null,
    description: '',
  });
  t.notOk('owner_uuids' in cleared || 'description' in cleared);
  t.equal((await world.call('DELETE', path)).status, 204);
  const gone = await world.call('GET', path);
  t.deepEqual(gone.body, {
    code: 'ResourceNotFound',
    message: 'network pool not found',
  });
});

test('pools are found by what they are', async (t) => {
  const world = await startWorld(t);
  const [one, two] = [await addNetwork(world, 1), await addNetwork(world, 2)];
  const six = await world.must('POST', '/networks', {
    name: 'six',
    nic_tag: 'external',
    vlan_id: 7,
    subnet: 'fd00::/64',
    provision_start_ip: 'fd00::1',
    provision_end_ip: 'fd00::9',
  });
  const add = (n: number, networks: unknown[], more: object = {}) =>
    world.must('POST', '/network_pools', {
      name: `pool${n}`,
      uuid: uuidOf(6, n),
      networks,
      ...more,
    });
  await add(2, [two], { owner_uuids: [OWNER] });
  await add(1, [one, two]);
  await add(3, [six['uuid']]);
  const names = async (query: string) =>
    (await world.must<Body[]>('GET', `/network_pools?${query}`)).map(
      (each) => each['name'],
    );
  t.deepEqual(await names(''), ['pool1', 'pool2', 'pool3'], 'by UUID');
  t.deepEqual(await names('limit=1&offset=1'), ['pool2']);
  t.deepEqual(await names('name=pool2'), ['pool2']);
  t.deepEqual(await names('family=ipv6'), ['pool3']);
  t.deepEqual(await names(`networks=${one}`), ['pool1']);
  t.deepEqual(await names(`uuid=${uuidOf(6, 2)}`), ['pool2']);
  t.deepEqual(await names(`uuid=${uuidOf(6, 2).slice(0, 9)}*`), [
    'pool1',
    'pool2',
    'pool3',
  ]);
  t.deepEqual(await names(`provisionable_by=${OWNER}`), [
    'pool1',
    'pool2',
    'pool3',
  ]);
  t.deepEqual(await names(`provisionable_by=${uuidOf(1, 2)}`), [
    'pool1',
    'pool3',
  ]);
  const stranger = await world.call(
    'GET',
    `/network_pools/${uuidOf(6, 2)}?provisionable_by=${uuidOf(1, 2)}`,
  );
  t.deepEqual(
    [stranger.status, stranger.body],
    [
      403,
      {
        code: 'NotAuthorized',
        message: 'owner cannot provision on network pool',
      },
    ],
  );
  const two_ = await errorsOf(
    world,
    'GET',
    `/network_pools?networks=${one},${two}`,
    undefined as never,
  );
  t.equal(two_[0]?.['message'], 'Only one network UUID allowed');
});

test('what is wrong with a pool is said by field', async (t) => {
  const world = await startWorld(t);
  const one = await addNetwork(world, 1, { owner_uuids: [OWNER] });
  const six = await world.must('POST', '/networks', {
    name: 'six',
    nic_tag: 'external',
    vlan_id: 7,
    subnet: 'fd00::/64',
    provision_start_ip: 'fd00::1',
    provision_end_ip: 'fd00::9',
  });
  const unknown = [uuidOf(5, 8), uuidOf(5, 9)];
  const many = Array.from({ length: 65 }, (_, n) => uuidOf(5, 100 + n));
  const owners = 'network owner_uuids do not match the owner_uuids of the pool';
  const cases: [object, string, string, unknown?][] = [
    [{ name: undefined }, 'name', 'Missing parameter'],
    [{ networks: undefined }, 'networks', 'Missing parameter'],
    [
      { networks: [] },
      'networks',
      'network pool must contain at least one network',
    ],
    [{ networks: many }, 'networks', 'maximum 64 networks per network pool'],
    [{ networks: [5] }, 'networks', 'must be an array of strings'],
    [{ networks: 'x,y' }, 'networks', 'invalid UUID', ['x', 'y']],
    [{ networks: unknown }, 'networks', 'unknown networks', unknown],
    [
      { networks: [one, unknown[0]] },
      'networks',
      'unknown network',
      [unknown[0]],
    ],
    [
      { networks: [one, six['uuid']] },
      'networks',
      'address family of all networks in a network pool must match',
    ],
    [{ owner_uuids: [uuidOf(1, 2)] }, 'networks', owners, [one]],
    [{ uuid: 'x' }, 'uuid', 'invalid UUID'],
  ];
  for (const [change, field, message, invalid] of cases) {
    const body = { name: 'p', networks: [one], ...change };
    const [error] = await errorsOf(world, 'POST', '/network_pools', body);
    t.equal(error?.['field'], field, JSON.stringify(change).slice(0, 70));
    t.equal(error?.['message'], message);
    if (invalid) t.deepEqual(error?.['invalid'], invalid);
  }
  t.deepEqual(await world.must('GET', '/network_pools'), []);
  await world.must('POST', '/network_pools', {
    name: 'p',
    networks: one,
    owner_uuids: [OWNER, uuidOf(1, 2)],
  });
});

test('a pool keeps its family, and is named by a UUID', async (t) => {
  const world = await startWorld(t);
  const one = await addNetwork(world, 1);
  const pool = await world.must('POST', '/network_pools', {
    name: 'p',
    networks: [one],
  });
  const six = await world.must('POST', '/networks', {
    name: 'six',
    nic_tag: 'external',
    vlan_id: 7,
    subnet: 'fd00::/64',
    provision_start_ip: 'fd00::2',
    provision_end_ip: 'fd00::9',
  });
  const path = `/network_pools/${pool['uuid']}`;
  const body = { networks: [six['uuid']] };
  const [error] = await errorsOf(world, 'PUT', path, body);
  t.equal(
    error?.['message'],
    'address family of all networks in a network pool must match',
  );
  const [odd] = await errorsOf(world, 'DELETE', '/network_pools/x', {});
  t.deepEqual([odd?.['field'], odd?.['message']], ['uuid', 'invalid UUID']);
});

test('a network in a pool stays', async (t) => {
  const world = await startWorld(t);
  const one = await addNetwork(world, 1);
  const { uuid } = await world.must('POST', '/network_pools', {
    name: 'p',
    networks: [one],
  });
  const refused = await world.call('DELETE', `/networks/${one}`);
  t.equal(refused.status, 422);
  t.deepEqual(refused.body, {
    code: 'InUse',
    message: 'Network is in use',
    errors: [
      {
        type: 'network pool',
        id: uuid,
        code: 'UsedBy',
        message: `In use by network pool "${uuid}"`,
      },
    ],
  });
  await world.must('DELETE', `/network_pools/${uuid}`);
  t.equal((await world.call('DELETE', `/networks/${one}`)).status, 204);
});

test('a NIC goes to the first network of a pool that has room', async (t) => {
  const world = await startWorld(t);
  const [one, two] = [await addNetwork(world, 1), await addNetwork(world, 2)];
  const { uuid } = await world.must('POST', '/network_pools', {
    name: 'p',
    networks: [two, one],
  });
  const answers = await Promise.all(
    Array.from({ length: 6 }, () =>
      world.call<Body>('POST', `/networks/${uuid}/nics`, NIC),
    ),
  );
  const made = answers.filter(({ status }) => status === 200);
  t.deepEqual(made.map(({ body }) => body['ip']).sort(), [
    '10.1.0.10',
    '10.1.0.11',
    '10.2.0.10',
    '10.2.0.11',
  ]);
  t.ok(
    made.every(({ body }) =>
      [one, two].includes(body['network_uuid'] as string),
    ),
    "a NIC shows its network, not the pool's",
  );
  const full = answers.filter(({ status }) => status === 422);
  t.equal(full.length, 2, 'a full pool is 422, where a full network is 507');
  t.deepEqual(full[0]?.body['errors'], [
    {
      field: 'network_uuid',
      code: 'InvalidParameter',
      message: `All networks in pool ${uuid} are full`,
    },
  ]);
  const freed = made.find(({ body }) => body['ip'] === '10.2.0.10');
  await world.must('DELETE', `/nics/${freed?.body['mac']}`);
  const again = await world.must('POST', '/nics', {
    ...NIC,
    network_uuid: uuid,
  });
  t.equal(again['ip'], '10.2.0.10');
});

test('of a mixed pool what suits the NIC is taken', async (t) => {
  const world = await startWorld(t);
  const one = await addNetwork(world, 1);
  await world.must('POST', '/nic_tags', { name: 'lab' });
  const two = await addNetwork(world, 2, { nic_tag: 'lab', vlan_id: 8 });
  const three = await addNetwork(world, 3, { owner_uuids: [uuidOf(1, 9)] });
  const pool = await world.must('POST', '/network_pools', {
    name: 'p',
    networks: [one, two],
  });
  t.deepEqual(pool['nic_tags_present'], ['external', 'lab']);
  const { uuid } = pool;
  const path = `/networks/${uuid}/nics`;
  const none = `No networks in network pool ${uuid} match provisioning constraints`;
  const cases: [object, string, string][] = [
    [{}, 'nic_tags_available', `Network pool ${uuid} has mixed nic_tag values`],
    [{ ip: '10.1.0.10' }, 'ip', 'IP cannot be specified with a network pool'],
    [{ nic_tags_available: ['sdc_overlay'] }, 'network_uuid', none],
    [{ nic_tag: 'lab', vlan_id: 7 }, 'network_uuid', none],
    [
      { nic_tags_available: ['nope'] },
      'nic_tags_available',
      'nic tag does not exist',
    ],
    [{ nic_tag: 'nope' }, 'nic_tag', 'nic tag does not exist'],
  ];
  for (const [more, field, message] of cases) {
    const [error] = await errorsOf(world, 'POST', path, { ...NIC, ...more });
    t.deepEqual([error?.['field'], error?.['message']], [field, message]);
  }
  const nic = (more: object) => world.must('POST', path, { ...NIC, ...more });
  const lab = await nic({ nic_tags_available: 'lab,sdc_overlay' });
  t.equal(lab['ip'], '10.2.0.10');
  t.equal((await nic({ nic_tag: 'external' }))['ip'], '10.1.0.10');
  t.equal((await nic({ nic_tag: 'lab' }))['ip'], '10.2.0.11');
  const owned = await world.must('POST', '/network_pools', {
    name: 'q',
    networks: [three],
    owner_uuids: [uuidOf(1, 9)],
  });
  const theirs = `/networks/${owned['uuid']}/nics`;
  const [stranger] = await errorsOf(world, 'POST', theirs, NIC);
  t.equal(stranger?.['message'], 'network owner_uuids do not match');
  await world.must('POST', theirs, { ...NIC, check_owner: false });
  await world.must('POST', theirs, { ...NIC, owner_uuid: ADMIN });
});
