// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/networks` as clients of real NAPI know it (facts: triton-napi 3). */

import test from 'tape';
import {
  ADMIN,
  type Answer,
  type NatWorld,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';

type Body = Record<string, unknown>;

const GOOD = {
  name: 'lab',
  nic_tag: 'external',
  vlan_id: 7,
  subnet: '10.2.0.0/24',
  provision_start_ip: '10.2.0.10',
  provision_end_ip: '10.2.0.250',
};

/** The message of one field's error. */
function said(answer: Answer<Body>, field: string): unknown {
  const errors = (answer.body['errors'] ?? []) as Body[];
  return errors.find((each) => String(each['field']) === field)?.['message'];
}

function add(world: NatWorld, more: object = {}): Promise<Answer<Body>> {
  return world.call('POST', '/networks', { ...GOOD, ...more });
}

test('a network shows exactly its fields', async (t) => {
  const world = await startWorld(t);
  const made = await add(world, { uuid: uuidOf(5, 1) });
  const expected = {
    family: 'ipv4',
    mtu: 1500,
    ...GOOD,
    uuid: uuidOf(5, 1),
    resolvers: [],
    netmask: '255.255.255.0',
  };
  t.equal(made.status, 200);
  t.deepEqual(made.body, expected);
  const got = await world.call('GET', `/networks/${uuidOf(5, 1)}`);
  t.deepEqual(got.body, expected);
  t.equal(got.headers.get('etag'), made.headers.get('etag'), 'same etag');
  t.match(got.headers.get('etag') ?? '', /^[0-9a-f]{8}$/, 'unquoted');
  const some = await world.call(
    'GET',
    `/networks/${uuidOf(5, 1)}?fields=uuid&fields=name&fields=gateway`,
  );
  t.deepEqual(some.body, { uuid: uuidOf(5, 1), name: 'lab' });
});

test('what is wrong with a network is said by field', async (t) => {
  const world = await startWorld(t);
  const outside = 'provision_start_ip cannot be outside subnet';
  const order = 'provision_start_ip must be before provision_end_ip';
  const cases: [object, string, string][] = [
    [{ name: undefined }, 'name', 'Missing parameter'],
    [{ name: 'x'.repeat(65) }, 'name', 'must not be longer than 64 characters'],
    [{ nic_tag: 'nope' }, 'nic_tag', 'nic tag does not exist'],
    [{ subnet: '10.2.0.0' }, 'subnet', 'Subnet must be in CIDR form'],
    [{ subnet: '10.2.0.1/24' }, 'subnet', 'invalid CIDR format'],
    [{ subnet: '10.2.0.0/7' }, 'subnet', 'Subnet bits invalid'],
    [{ subnet: undefined }, 'subnet', 'Missing parameter'],
    [{ provision_start_ip: '10.3.0.1' }, 'provision_start_ip', outside],
    [{ provision_start_ip: '10.2.0.250' }, 'provision_start_ip', order],
    [{ provision_start_ip: '10.2.0.250' }, 'provision_end_ip', order],
    [
      { provision_end_ip: '10.2.0.255' },
      'provision_end_ip',
      'provision_end_ip cannot be the broadcast address',
    ],
    [{ gateway: '10.9.0.1' }, 'gateway', 'gateway cannot be outside subnet'],
    [{ mtu: '1500' }, 'mtu', 'mtu must be a number between 576 and 9000'],
    [{ mtu: 1501 }, 'mtu', 'network mtu must be under nic_tag mtu'],
    [{ resolvers: ['1.1.1.1', 'x'] }, 'resolvers', 'invalid IP'],
    [{ routes: { a: 'b' } }, 'routes', 'invalid route'],
    [
      { vlan_id: 4095 },
      'vlan_id',
      'VLAN ID must be a number between 0 and 4094, and not 1',
    ],
    [{ uuid: 'A0' }, 'uuid', 'invalid UUID'],
    [{ uuid: PUBLIC_NETWORK }, 'uuid', 'Already exists'],
    [{ fabric: true }, 'owner_uuids', 'Missing parameter'],
    [
      { fabric: true, owner_uuids: [uuidOf(1, 1), uuidOf(1, 2)] },
      'owner_uuids',
      'Fabric networks must have exactly one owner',
    ],
    [{ nic_tag: ['a', 'b'] }, 'nic_tag', 'must only specify one nic tag'],
    [{ nic_tag: [] }, 'nic_tag', 'must not be empty'],
    [{ nic_tag: 5 }, 'nic_tag', 'must be an array'],
    [{ resolvers: [5] }, 'resolvers', 'invalid IP'],
    [{ resolvers: 'x,y' }, 'resolvers', 'invalid IPs'],
    [{ routes: { a: 'b', c: 'd' } }, 'routes', 'invalid routes'],
    [{ subnet: '10.2.0/24' }, 'subnet', 'Subnet IP invalid'],
    [{ subnet: 5 }, 'subnet', 'must be a string'],
    [{ name: ' ' }, 'name', 'must not be empty'],
    [{ fields: [] }, 'fields', 'must not be an empty array'],
    [{ fields: 'name' }, 'fields', 'must be an array of strings'],
    [{ fields: ['vnet_id'] }, 'fields', 'unknown field specified'],
    [
      { fields: Array.from({ length: 18 }, () => 'name') },
      'fields',
      'can only specify a maximum of 17 fields',
    ],
    [
      { provision_start_ip: '10.2.0.255' },
      'provision_start_ip',
      'provision_start_ip cannot be the broadcast address',
    ],
    [
      { provision_end_ip: '10.3.0.1' },
      'provision_end_ip',
      'provision_end_ip cannot be outside subnet',
    ],
    [
      { fabric: true, owner_uuids: [uuidOf(1, 1)] },
      'vnet_id',
      'Missing parameter',
    ],
    [
      { fabric: true, owner_uuids: [uuidOf(1, 1)], vnet_id: 16777215 },
      'vnet_id',
      'VNET ID is reserved for probes',
    ],
    [
      { nat_reform_public: '3.3.3.9' },
      'nat_reform_public',
      'is chosen by NAPI; only "" can be asked for',
    ],
  ];
  for (const [change, field, message] of cases) {
    const answer = await add(world, change);
    t.equal(answer.status, 422, JSON.stringify(change));
    t.equal(said(answer, field), message, message);
  }
  const all = await world.must<unknown[]>('GET', '/networks');
  t.equal(all.length, 1, 'nothing was made: only the public network is there');
});

test('several faults come together, sorted', async (t) => {
  const world = await startWorld(t);
  const missing = await world.call('POST', '/networks', {});
  t.deepEqual(missing.body, {
    code: 'InvalidParameters',
    message: 'Missing parameters',
    errors: ['name', 'nic_tag', 'vlan_id'].map((field) => ({
      field,
      code: 'MissingParameter',
      message: 'Missing parameter',
    })),
  });
  const mixed = await world.call<Body>('POST', '/networks', { mtu: 1 });
  t.equal(mixed.body['message'], 'Invalid parameters');
  const array = await world.call<Body>('GET', '/networks?nope=1&limit=0');
  t.deepEqual(
    (array.body['errors'] as Body[]).map((each) => each['field']),
    ['limit', ['nope']],
    'unknown parameters are an array',
  );
});

test('a network is born with its addresses', async (t) => {
  const world = await startWorld(t);
  const made = await add(world, {
    gateway: '10.2.0.1',
    resolvers: ['10.2.0.2', '8.8.8.8'],
  });
  const ips = await world.must<Body[]>(
    'GET',
    `/networks/${made.body['uuid']}/ips`,
  );
  t.deepEqual(
    ips.map((each) => [each['ip'], each['reserved'], each['free']]),
    [
      ['10.2.0.1', true, false],
      ['10.2.0.2', true, false],
      ['10.2.0.9', false, true],
      ['10.2.0.251', false, true],
      ['10.2.0.255', true, false],
    ],
  );
  t.equal(ips[0]?.['belongs_to_uuid'], ADMIN);
});

test('networks are changed on their etag', async (t) => {
  const world = await startWorld(t);
  const made = await add(world);
  const path = `/networks/${made.body['uuid']}`;
  const etag = made.headers.get('etag') as string;
  const first = await world.call<Body>(
    'PUT',
    path,
    {
      description: 'mine',
      gateway: '10.2.0.1',
      provision_start_ip: '10.2.0.20',
    },
    { 'if-match': etag },
  );
  t.equal(first.status, 200);
  t.equal(first.body['description'], 'mine');
  const second = await world.call<Body>(
    'PUT',
    path,
    { description: 'yours' },
    { 'if-match': etag },
  );
  t.equal(second.status, 412);
  t.equal(second.body['code'], 'PreconditionFailed');
  const ips = await world.must<Body[]>('GET', `${path}/ips`);
  t.deepEqual(
    ips.map((each) => each['ip']),
    ['10.2.0.1', '10.2.0.19', '10.2.0.251', '10.2.0.255'],
    'the gateway is reserved, the placeholder moved',
  );
  const same = await world.call('GET', path, undefined, {
    'if-none-match': first.headers.get('etag') as string,
  });
  t.equal(same.status, 304);
});

test('what makes a network what it is stays', async (t) => {
  const world = await startWorld(t);
  const made = await add(world);
  const path = `/networks/${made.body['uuid']}`;
  const fixed = {
    subnet: '10.3.0.0/24',
    vlan_id: 8,
    nic_tag: 'sdc_overlay',
    internet_nat: true,
    fabric: true,
  };
  for (const [field, value] of Object.entries(fixed)) {
    const answer = await world.call<Body>('PUT', path, { [field]: value });
    t.equal(
      said(answer, field),
      'Network updates for this field are not supported',
      field,
    );
  }
  const equal = await world.call('PUT', path, { subnet: GOOD.subnet });
  t.equal(equal.status, 200, 'sending what is there is no change');
});

test('who may see and use a network', async (t) => {
  const world = await startWorld(t);
  const owner = uuidOf(1, 1);
  const made = await add(world, { owner_uuids: [owner] });
  const path = `/networks/${made.body['uuid']}`;
  const other = uuidOf(1, 2);
  const status = async (query: string) =>
    (await world.call('GET', `${path}?${query}`)).status;
  t.equal(await status(`owner_uuid=${owner}`), 200);
  t.equal(await status(`owner_uuid=${other}`), 404);
  t.equal(await status(`owner_uuid=${ADMIN}`), 200);
  t.equal(await status(`provisionable_by=${other}`), 403);
  const names = async (query: string) =>
    (await world.must<Body[]>('GET', `/networks?${query}`)).map(
      (each) => each['name'],
    );
  t.deepEqual(await names(`provisionable_by=${other}`), ['external']);
  t.deepEqual(await names(`provisionable_by=${owner}`), ['external', 'lab']);
  t.deepEqual(await names(`owner_uuid=${owner}`), ['lab']);
  t.deepEqual(await names('name=lab,external'), ['external', 'lab']);
  t.deepEqual(await names('limit=1&offset=1'), ['lab']);
  t.deepEqual(await names('name=*'), [], 'a star is a name like any other');
  t.deepEqual(await names(`uuid=${PUBLIC_NETWORK.slice(0, 9)}*`), ['external']);
});

test('a network that is not there is 404, whatever its name', async (t) => {
  const world = await startWorld(t);
  for (const id of ['garbage', uuidOf(5, 9), 'admin']) {
    const answer = await world.call('GET', `/networks/${id}`);
    t.equal(answer.status, 404);
    t.deepEqual(answer.body, {
      code: 'ResourceNotFound',
      message: 'network not found',
    });
  }
});

test('overlapping public subnets are refused, private ones are not', async (t) => {
  const world = await startWorld(t);
  const clash = await add(world, {
    subnet: '3.3.3.0/25',
    provision_start_ip: '3.3.3.2',
    provision_end_ip: '3.3.3.9',
  });
  t.deepEqual(clash.body['errors'], [
    {
      field: 'subnet',
      type: 'network',
      id: PUBLIC_NETWORK,
      code: 'UsedBy',
      message: 'subnet overlaps with another network',
    },
  ]);
  t.equal((await add(world)).status, 200);
  t.equal((await add(world, { name: 'twin' })).status, 200);
});

test('a removed network leaves nothing', async (t) => {
  const world = await startWorld(t);
  const made = await add(world, { uuid: uuidOf(5, 1) });
  const path = `/networks/${made.body['uuid']}`;
  const nic = await world.must('POST', `${path}/nics`, {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: uuidOf(1, 1),
  });
  const refused = await world.call('DELETE', path);
  t.equal(refused.status, 422);
  t.deepEqual(refused.body, {
    code: 'InUse',
    message: 'network must have no NICs provisioned',
    errors: [
      {
        type: 'nic',
        id: nic['mac'],
        code: 'UsedBy',
        message: `In use by nic "${nic['mac']}"`,
      },
    ],
  });
  await world.must('DELETE', `/nics/${nic['mac']}`);
  t.equal((await world.call('DELETE', path)).status, 204);
  t.equal((await world.call('GET', path)).status, 404);
  t.equal((await add(world, { uuid: uuidOf(5, 1) })).status, 200);
  const ips = await world.must<unknown[]>('GET', `${path}/ips`);
  t.equal(ips.length, 3, 'the addresses of its former life are gone');
});
