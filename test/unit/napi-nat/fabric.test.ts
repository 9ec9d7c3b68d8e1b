// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/fabrics` as clients of real NAPI know it (facts: triton-napi 4). */

import test from 'tape';
import {
  ADMIN,
  addFabric,
  addZone,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';
import { until } from '#test/until.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);
const VLANS = `/fabrics/${OWNER}/vlans`;

test('VLANs of an owner share a vnet', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  t.deepEqual(await world.must('GET', VLANS), [], 'none is no error');
  const two = await world.must('POST', VLANS, { vlan_id: 2, name: 'two' });
  const three = await world.must('POST', VLANS, {
    vlan_id: 3,
    description: 'third',
  });
  t.deepEqual(two, {
    name: 'two',
    owner_uuid: OWNER,
    vlan_id: 2,
    vnet_id: three['vnet_id'],
  });
  t.deepEqual(await world.must('GET', VLANS), [two, three]);
  const twice = await world.call('POST', VLANS, { vlan_id: 2 });
  t.equal(twice.status, 422);
  t.deepEqual(twice.body, {
    code: 'InUse',
    message: 'VLAN ID is already in use',
    errors: [
      {
        field: 'vlan_id',
        code: 'Duplicate',
        message: 'VLAN ID is already in use',
      },
    ],
  });
  const renamed = await world.must('PUT', `${VLANS}/3`, {
    name: 'three',
    description: '',
  });
  t.deepEqual(renamed, {
    name: 'three',
    owner_uuid: OWNER,
    vlan_id: 3,
    vnet_id: three['vnet_id'],
  });
  t.equal((await world.call('DELETE', `${VLANS}/3`)).status, 204);
  const gone = await world.call('GET', `${VLANS}/3`);
  t.deepEqual(gone.body, {
    code: 'ResourceNotFound',
    message: 'vlan not found',
  });
});

test('a fabric network shows exactly its fields', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { vnet_id } = await world.must('POST', VLANS, { vlan_id: 44 });
  const input = {
    name: 'web',
    uuid: uuidOf(5, 1),
    subnet: '10.0.1.0/24',
    provision_start_ip: '10.0.1.2',
    provision_end_ip: '10.0.1.254',
    gateway: '10.0.1.1',
    resolvers: ['8.8.8.8'],
  };
  const lies = { mtu: 9000, nic_tag: 'external', vnet_id: 1, fabric: false };
  const made = await world.must('POST', `${VLANS}/44/networks`, {
    ...input,
    ...lies,
    owner_uuids: [uuidOf(1, 9)],
  });
  t.deepEqual(made, {
    ...input,
    mtu: 1400,
    nic_tag: 'sdc_overlay',
    vlan_id: 44,
    family: 'ipv4',
    fabric: true,
    vnet_id,
    internet_nat: true,
    gateway_provisioned: false,
    owner_uuid: OWNER,
    netmask: '255.255.255.0',
  });
  const [listed] = await world.must<Body[]>('GET', `${VLANS}/44/networks`);
  t.deepEqual(listed, made);
  const { owner_uuid, ...rest } = made;
  const plain = await world.must('GET', `/networks/${uuidOf(5, 1)}`);
  t.deepEqual(plain, { ...rest, owner_uuids: [owner_uuid] });
  t.equal((await world.call('DELETE', `${VLANS}/44`)).status, 422);
});

test('a network is reached by its own owner and VLAN alone', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  await world.must('POST', VLANS, { vlan_id: 3 });
  const other = `/fabrics/${uuidOf(1, 2)}/vlans`;
  await world.must('POST', other, { vlan_id: 2 });
  for (const path of [`${VLANS}/3`, `${other}/2`]) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await world.call(
        method,
        `${path}/networks/${uuid}`,
        method === 'PUT' ? { name: 'stolen' } : undefined,
      );
      t.equal(answer.status, 404, `${method} ${path}`);
    }
  }
  t.equal((await world.call('GET', `/networks/${uuid}`)).status, 200);
});

test('fabric networks are private, and apart from each other', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  await addFabric(world, OWNER, 2, '10.1.1.0/24');
  await addFabric(world, uuidOf(1, 2), 2, '10.1.1.0/24');
  t.pass('another owner may have the same subnet');
  const add = (subnet: string, start: string, end: string) =>
    world.call<Body>('POST', `${VLANS}/2/networks`, {
      name: subnet,
      subnet,
      provision_start_ip: start,
      provision_end_ip: end,
    });
  const overlap = await add('10.1.0.0/16', '10.1.0.2', '10.1.0.9');
  const [error] = overlap.body['errors'] as Body[];
  t.equal(error?.['message'], 'subnet overlaps with another network');
  const open = await add('8.8.8.0/24', '8.8.8.2', '8.8.8.9');
  const [second] = open.body['errors'] as Body[];
  t.equal(second?.['message'], 'subnet must be within private ranges');
});

test('names are unique for an owner, also after a rename', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const one = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  await addFabric(world, OWNER, 2, '10.1.2.0/24');
  const theirs = await addFabric(world, uuidOf(1, 2), 2, '10.9.0.0/24');
  const path = `${VLANS}/2/networks/${one.uuid}`;
  const clash = await world.call('PUT', path, { name: 'net-10.1.2.0/24' });
  t.equal(clash.status, 422);
  const fine = await world.call('PUT', path, {
    name: theirs['name'] as string,
  });
  t.equal(fine.status, 200, "another owner's name is free");
  const refused = await world.call<Body>('PUT', path, { gateway: '10.1.1.9' });
  t.deepEqual(refused.body['errors'], [
    {
      field: 'gateway',
      code: 'InvalidParameter',
      message: 'Network updates for this field are not supported on fabrics',
    },
  ]);
});

test('internet_nat alone makes a gateway; false keeps it from NICs', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  await world.must('POST', VLANS, { vlan_id: 2 });
  const base = {
    provision_start_ip: '10.1.1.5',
    provision_end_ip: '10.1.1.9',
    subnet: '10.1.1.0/24',
  };
  const nat = await world.must('POST', `${VLANS}/2/networks`, {
    ...base,
    name: 'nat',
    internet_nat: true,
  });
  t.equal(nat['gateway'], '10.1.1.5');
  const closed = await world.must('POST', `${VLANS}/2/networks`, {
    name: 'closed',
    subnet: '10.1.2.0/24',
    provision_start_ip: '10.1.2.5',
    provision_end_ip: '10.1.2.9',
    gateway: '10.1.2.1',
    internet_nat: false,
  });
  const nic = {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: OWNER,
    cn_uuid: uuidOf(9, 1),
  };
  const taken = await world.call('POST', `/networks/${closed['uuid']}/nics`, {
    ...nic,
    ip: '10.1.2.1',
  });
  t.equal(taken.status, 422, 'the gateway of a closed fabric is nobody’s');
  const zone = await world.call('POST', `/networks/${nat['uuid']}/nics`, {
    ...nic,
    owner_uuid: '00000000-0000-4000-8000-0000000000ad',
    ip: '10.1.1.5',
  });
  t.equal(zone.status, 200, 'a NAT zone takes it by name');
  const after = await world.must('GET', `/networks/${nat['uuid']}`);
  t.equal(after['gateway_provisioned'], true);
  await world.must('DELETE', `/nics/${(zone.body as Body)['mac']}`);
  const last = await world.must('GET', `/networks/${nat['uuid']}`);
  t.equal(last['gateway_provisioned'], false);
});

test('a legacy fabric joins NAT Reform when asked', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  await addZone(t, world, 1, { ip: '127.0.0.11', port: 0 });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const path = `${VLANS}/2/networks/${uuid}`;
  const foreign = await world.call('PUT', path, {
    nat_reform_public: '3.3.3.9',
  });
  t.equal(foreign.status, 422, 'a client cannot choose the address');
  const joined = await world.must('PUT', path, { nat_reform_public: '' });
  t.equal(joined['nat_reform_public'], '3.3.3.2');
  t.equal(joined['gateway_provisioned'], true, 'VMAPI makes no NAT zone');
  t.notOk('router_mac' in joined, 'the router MAC is not shown');
  const again = await world.must('PUT', path, { nat_reform_public: '' });
  t.equal(again['nat_reform_public'], '3.3.3.2', 'asking twice is asking once');
  const nic = await world.call('POST', `/networks/${uuid}/nics`, {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: OWNER,
    cn_uuid: uuidOf(9, 1),
    ip: '10.1.1.1',
  });
  t.equal(nic.status, 422, "no NIC may take the router's address");
  t.equal((await world.call('DELETE', path)).status, 204);
  t.deepEqual(
    await world.must('GET', '/nat_publics'),
    [],
    'address given back',
  );
});

test("a former NAT zone's NIC leaves the new router alone", async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const zone = await addZone(t, world, 1, { ip: '127.0.0.11', port: 0 });
  const { uuid, vnet_id } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const nic = await world.must('POST', `/networks/${uuid}/nics`, {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: ADMIN,
    cn_uuid: uuidOf(9, 1),
    ip: '10.1.1.1',
  });
  await world.must('PUT', `${VLANS}/2/networks/${uuid}`, {
    nat_reform_public: '',
  });
  const router = async () => {
    const query = `/ul3_mappings?vnet_id=${vnet_id}&ip=10.1.1.1`;
    const [row] = await world.must<Body[]>('GET', query);
    return row?.['cn_uuid'];
  };
  // The zone must have the rule before the router leads to it.
  await until('the router', router, (cn) => cn === zone.uuid);
  await world.must('PUT', `/nics/${nic['mac']}`, { cn_uuid: uuidOf(9, 2) });
  t.equal(await router(), zone.uuid, 'when it moves');
  await world.must('DELETE', `/nics/${nic['mac']}`);
  t.equal(await router(), zone.uuid, 'when it goes');
  const network = await world.must('GET', `/networks/${uuid}`);
  t.equal(network['gateway_provisioned'], true);
});
