// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** An AIP does not do what RFD 158 says, or an error is another one. */

import test from 'tape';
import {
  addFabric,
  addNic,
  addZone,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
  zoneState,
} from '#test/nat-world.js';

const ALICE = uuidOf(1, 1);
const BOB = uuidOf(1, 2);
const WEB = uuidOf(2, 1);
const DB = uuidOf(2, 2);

interface AipView {
  uuid: string;
  ip: string;
  private_ip?: string;
  belongs_to_uuid?: string;
  [field: string]: unknown;
}

interface Failure {
  code: string;
  message: string;
  errors?: { field: string; message: string }[];
}

async function setUp(t: test.Test) {
  const world = await startWorld(t);
  const z1 = await addZone(t, world, 1, { ip: '127.0.0.11', port: 0 });
  await zoneState(world, z1.uuid, 'up');
  const fabric = await addFabric(world, ALICE, 2, '10.4.4.0/24');
  const network = fabric.uuid;
  await addNic(world, { owner: ALICE, instance: WEB, network, ip: '10.4.4.9' });
  await addNic(world, { owner: ALICE, instance: DB, network, ip: '10.4.4.10' });
  return { world, z1, fabric };
}

test('create, assign, remap, detach, delete', async (t) => {
  const { world, z1, fabric } = await setUp(t);
  t.equal(fabric['nat_reform_public'], '3.3.3.2', 'placement gave an address');
  const made = await world.call<AipView>('POST', '/aips', {
    owner_uuid: ALICE,
    description: 'web',
    tags: { role: 'www', n: 1 },
  });
  t.equal(made.status, 200);
  t.ok(made.headers.get('etag'), 'has an etag');
  const { uuid, ip, created_timestamp, modified_timestamp } = made.body;
  t.deepEqual(made.body, {
    uuid,
    owner_uuid: ALICE,
    ip: '3.3.3.3',
    family: 'ipv4',
    state: 'detached',
    deletion_protection: false,
    network_uuid: PUBLIC_NETWORK,
    description: 'web',
    tags: { role: 'www', n: 1 },
    created_timestamp,
    modified_timestamp,
  });
  const place = () => world.must('GET', `/nat_publics/${ip}`);
  t.equal((await place())['zone_uuid'], null, 'nobody announces it yet');

  const assigned = await world.must<AipView>('PUT', `/aips/${uuid}`, {
    owner_uuid: ALICE,
    instance: WEB,
  });
  t.equal(assigned.private_ip, '10.4.4.9');
  t.equal(assigned['belongs_to_type'], 'Instance');
  t.equal(assigned['vnet_id'], fabric.vnet_id);
  t.equal(assigned['description'], 'web', 'words stay');
  t.equal((await place())['zone_uuid'], z1.uuid, 'goes where its router is');

  const plane = await world.must<{ one_to_ones: object[] }>(
    'GET',
    '/dataplane',
  );
  t.deepEqual(plane.one_to_ones, [
    {
      aip_uuid: uuid,
      vnet_id: fabric.vnet_id,
      vlan_id: 2,
      private_ip: '10.4.4.9',
      public_ip: ip,
    },
  ]);

  const refused = await world.call<Failure>('PUT', `/aips/${uuid}`, {
    instance: DB,
  });
  t.equal(refused.status, 409);
  t.deepEqual(refused.body, {
    code: 'AIPInUse',
    message: `AIP is assigned to instance ${WEB}`,
  });
  const moved = await world.must<AipView>('PUT', `/aips/${uuid}`, {
    instance: DB,
    remap: true,
  });
  t.equal(moved.private_ip, '10.4.4.10');

  const kept = await world.call<Failure>('DELETE', `/aips/${uuid}`);
  t.equal(kept.status, 409, 'an AIP in use is not deleted by accident');
  const detached = await world.call('POST', `/aips/${uuid}?detach=true`);
  t.equal(detached.status, 204);
  const after = await world.must<AipView>('GET', `/aips/${uuid}`);
  t.notOk('private_ip' in after || 'belongs_to_uuid' in after);
  t.equal((await place())['zone_uuid'], null);
  t.equal((await world.call('DELETE', `/aips/${uuid}`)).status, 204);
  t.equal((await world.call('GET', `/aips/${uuid}`)).status, 404);
  t.equal((await world.call('GET', `/nat_publics/${ip}`)).status, 404);
});

test('what a user would get wrong is said by its name', async (t) => {
  const { world } = await setUp(t);
  const errors = async (method: string, path: string, body?: object) => {
    const { status, body: said } = await world.call<Failure>(
      method,
      path,
      body,
    );
    const fields = said.errors?.map((each) => each.field).join();
    return [status, said.code, fields ?? said.message].join(' ');
  };
  const create = (body: object) => errors('POST', '/aips', body);
  t.equal(await create({}), '422 InvalidParameters owner_uuid');
  t.equal(
    await create({ owner_uuid: 'x', tags: [], description: 7 }),
    '422 InvalidParameters description,owner_uuid,tags',
  );
  t.equal(
    await create({ owner_uuid: ALICE, private_ip: '10.4.4.9' }),
    '422 InvalidParameters instance',
  );
  t.equal(
    await create({ owner_uuid: BOB, instance: WEB }),
    '404 ResourceNotFound instance not found',
    "another owner's instance",
  );
  t.equal(
    await create({ owner_uuid: ALICE, instance: WEB, private_ip: '10.4.4.77' }),
    '422 InvalidParameters private_ip',
  );
  const aip = await world.must<AipView>('POST', '/aips', {
    owner_uuid: ALICE,
    instance: WEB,
  });
  t.equal(
    await create({ owner_uuid: ALICE, instance: WEB }),
    `409 AIPInUse private IP 10.4.4.9 already has AIP ${aip.uuid}`,
  );
  t.equal(
    await create({ owner_uuid: ALICE, uuid: aip.uuid }),
    '422 InvalidParameters uuid',
  );
  const foreign = `/aips/${aip.uuid}?owner_uuid=${BOB}`;
  t.equal(await errors('GET', foreign), '404 ResourceNotFound aip not found');
  t.equal(
    await errors('DELETE', foreign),
    '404 ResourceNotFound aip not found',
  );
  t.equal(
    await errors('POST', `/aips/${aip.uuid}`),
    '422 InvalidParameters detach',
  );
  const stale = await world.call(
    'PUT',
    `/aips/${aip.uuid}`,
    { description: 'x' },
    { 'if-match': 'nonsense' },
  );
  t.equal(stale.status, 412);
  t.equal((await world.must<AipView[]>('GET', '/aips')).length, 1);
});

test('an instance off the fabric gets no AIP', async (t) => {
  const { world, fabric } = await setUp(t);
  const mixed = uuidOf(2, 3);
  const common = { owner: ALICE, instance: mixed };
  await addNic(world, { ...common, network: PUBLIC_NETWORK, primary: true });
  await addNic(world, { ...common, network: fabric.uuid, ip: '10.4.4.20' });
  const body = { owner_uuid: ALICE, instance: mixed };
  const refused = await world.call<Failure>('POST', '/aips', body);
  t.equal(refused.status, 422);
  t.equal(refused.body.errors?.[0]?.field, 'instance');
  const named = await world.must<AipView>('POST', '/aips', {
    ...body,
    private_ip: '10.4.4.20',
  });
  t.equal(named.private_ip, '10.4.4.20', 'unless it names its fabric address');
});

test('lists page by marker without gap or repetition', async (t) => {
  const world = await startWorld(t);
  const made: string[] = [];
  for (let i = 0; i < 12; i++) {
    const owner_uuid = i % 4 === 3 ? BOB : ALICE;
    const aip = await world.must<AipView>('POST', '/aips', { owner_uuid });
    if (owner_uuid === ALICE) made.push(aip.uuid);
  }
  const seen: string[] = [];
  let marker = '';
  for (let page = 0; page < 10; page++) {
    const query = `/aips?owner_uuid=${ALICE}&limit=2${marker}`;
    const found = await world.must<AipView[]>('GET', query);
    if (found.length === 0) break;
    seen.push(...found.map((each) => each.uuid));
    marker = `&marker=${seen.at(-1)}`;
  }
  t.equal(seen.length, 9);
  t.deepEqual([...seen].sort(), [...made].sort());
  const strange = await world.call('GET', `/aips?marker=${uuidOf(5, 5)}`);
  t.equal(strange.status, 404);
});

test('a fabric network with AIPs is not deleted', async (t) => {
  const { world, fabric } = await setUp(t);
  const aip = await world.must<AipView>('POST', '/aips', {
    owner_uuid: ALICE,
    instance: WEB,
  });
  const path = `/fabrics/${ALICE}/vlans/2/networks/${fabric.uuid}`;
  const refused = await world.call<Failure>('DELETE', path);
  t.equal(refused.status, 422, JSON.stringify(refused.body));
  await world.must('DELETE', `/aips/${aip.uuid}?really_delete=true`);
  for (const { mac } of await world.must<{ mac: string }[]>('GET', '/nics')) {
    await world.must('DELETE', `/nics/${mac.replaceAll(':', '')}`);
  }
  t.equal((await world.call('DELETE', path)).status, 204);
  t.deepEqual(await world.must('GET', '/nat_publics'), []);
});
