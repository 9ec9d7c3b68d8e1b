// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nics` as clients of real NAPI know it (facts: triton-napi 5). */

import test from 'tape';
import {
  addFabric,
  addNic,
  addZone,
  type NatWorld,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);
const CN = uuidOf(9, 1);
const WHOSE = {
  belongs_to_uuid: uuidOf(2, 1),
  belongs_to_type: 'zone',
  owner_uuid: OWNER,
};

async function errorOf(
  world: NatWorld,
  body: object,
  method = 'POST',
  path = '/nics',
): Promise<Body | undefined> {
  const answer = await world.call<Body>(method, path, body);
  return ((answer.body['errors'] ?? []) as Body[])[0];
}

test('a NIC shows exactly its fields', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const bare = await world.must('POST', '/nics', {
    ...WHOSE,
    mac: '90-B8-D0-00-00-01',
    allow_ip_spoofing: true,
    allow_mac_spoofing: false,
  });
  const { created_timestamp: made, modified_timestamp: changed } = bare;
  const stamps = { created_timestamp: made, modified_timestamp: changed };
  t.deepEqual(bare, {
    ...WHOSE,
    ...stamps,
    mac: '90:b8:d0:00:00:01',
    primary: false,
    state: 'provisioning',
    allow_ip_spoofing: true,
  });
  const { uuid, vnet_id } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const nic = await world.must('POST', '/nics', {
    ...WHOSE,
    network_uuid: uuid,
    cn_uuid: CN,
    primary: true,
  });
  t.match(String(nic['mac']), /^90:b8:d0:/, 'a MAC of the configured OUI');
  t.deepEqual(nic, {
    ...WHOSE,
    mac: nic['mac'],
    primary: true,
    state: 'provisioning',
    created_timestamp: nic['created_timestamp'],
    modified_timestamp: nic['created_timestamp'],
    ip: '10.1.1.2',
    network_uuid: uuid,
    fabric: true,
    gateway: '10.1.1.1',
    gateway_provisioned: false,
    internet_nat: true,
    mtu: 1400,
    netmask: '255.255.255.0',
    nic_tag: `sdc_overlay/${vnet_id}`,
    resolvers: [],
    vlan_id: 2,
    cn_uuid: CN,
  });
  const mac = String(nic['mac']).replaceAll(':', '');
  t.deepEqual(await world.must('GET', `/nics/${mac}`), nic, 'without colons');
  t.equal((await world.call('GET', '/nics/garbage')).status, 422);
  t.equal((await world.call('GET', '/nics/90b8d0ffffff')).status, 404);
});

test('all that is wrong with a NIC is said at once', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const nic = await world.must('POST', '/nics', WHOSE);
  const wrong = { network_uuid: uuidOf(5, 9), nic_tag: 'none', model: 5 };
  const faultsOf = async (method: string, path: string) => {
    const answer = await world.call(method, path, wrong);
    t.equal(answer.status, 422, `${method} ${path}`);
    const { errors } = answer.body as { errors: { field: string }[] };
    return errors.map(({ field }) => field);
  };
  const own = ['belongs_to_type', 'belongs_to_uuid'];
  const both = ['model', 'network_uuid', 'nic_tag'];
  t.deepEqual(await faultsOf('POST', '/nics'), [...own, ...both, 'owner_uuid']);
  t.deepEqual(await faultsOf('PUT', `/nics/${nic['mac']}`), both);
});

test('what is wrong with a NIC is said by field', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const on = { ...WHOSE, network_uuid: uuid, cn_uuid: CN };
  const taken = await world.must('POST', '/nics', on);
  const cases: [object, string, string][] = [
    [{ belongs_to_uuid: undefined }, 'belongs_to_uuid', 'Missing parameter'],
    [{ network_uuid: uuidOf(5, 9) }, 'network_uuid', 'network does not exist'],
    [{ cn_uuid: undefined }, 'cn_uuid', 'Missing parameter'],
    [
      { owner_uuid: uuidOf(1, 2) },
      'owner_uuid',
      'network owner_uuids do not match',
    ],
    [{ ip: 'fd00::1' }, 'ip', 'Specified address must be IPv4'],
    [
      { ip: '10.9.1.1' },
      'ip',
      `IP address 10.9.1.1 is outside the subnet for given network ${uuid}`,
    ],
    [{ ip: taken['ip'] }, 'ip', `IP in use by zone "${WHOSE.belongs_to_uuid}"`],
    [{ mac: taken['mac'] }, 'mac', 'Already exists'],
    [
      { vlan_id: 3 },
      'vlan_id',
      'The vlan_id of all specified IPv4 and IPv6 networks must match ' +
        '(have 2 and 3)',
    ],
    [
      { nic_tag: 'a/b/c' },
      'nic_tag',
      'only one slash is allowed after the tag name',
    ],
    [
      { network_uuid: undefined, ip: '10.1.1.7', vlan_id: 2 },
      'nic_tag',
      'required if IP specified but not network_uuid',
    ],
    [
      {
        network_uuid: undefined,
        ip: '10.9.1.7',
        vlan_id: 2,
        nic_tag: 'external',
      },
      'ip',
      'No networks matching this nic_tag ("external") and vlan_id (2) ' +
        'contained the IP address 10.9.1.7',
    ],
    [{ underlay: true }, 'underlay', 'Only server NICs can be underlay NICs'],
    [
      { state: 'x' },
      'state',
      'must be one of: "provisioning", "stopped", "running"',
    ],
  ];
  for (const [change, field, message] of cases) {
    const error = await errorOf(world, { ...on, ...change });
    t.equal(error?.['field'], field, JSON.stringify(change));
    t.equal(error?.['message'], message);
  }
  const all = await world.must<unknown[]>('GET', '/nics');
  t.equal(all.length, 1, 'nothing was made');
});

test('an address is enough to find its network', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const nic = await world.must('POST', '/nics', {
    ...WHOSE,
    ip: '3.3.3.77',
    nic_tag: 'external',
    vlan_id: 0,
  });
  t.equal(nic['network_uuid'], PUBLIC_NETWORK);
});

test('an instance has one primary NIC', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const instance = uuidOf(2, 1);
  const nic = { owner: OWNER, instance, network: uuid, primary: true };
  await Promise.all([1, 2, 3, 4, 5].map(() => addNic(world, nic)));
  const others = { ...nic, instance: uuidOf(2, 2) };
  await addNic(world, others);
  const query = `/nics?belongs_to_uuid=${instance}`;
  const primaries = async () =>
    (await world.must<Body[]>('GET', query)).filter((each) => each['primary']);
  t.equal((await primaries()).length, 1);
  const all = await world.must<Body[]>('GET', query);
  const second = all.find((each) => !each['primary']) as Body;
  await world.must('PUT', `/nics/${second['mac']}`, { primary: true });
  t.deepEqual(
    (await primaries()).map((each) => each['mac']),
    [second['mac']],
  );
});

test('a NIC that moves gives its address back', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const one = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const two = await addFabric(world, OWNER, 2, '10.1.2.0/24');
  const nic = await addNic(world, {
    owner: OWNER,
    instance: uuidOf(2, 1),
    network: one.uuid,
  });
  const path = `/nics/${nic.mac}`;
  const stay = await world.must('PUT', path, { network_uuid: two.uuid });
  t.equal(stay['ip'], '10.1.1.2', 'a network alone moves nothing');
  const moved = await world.must('PUT', path, {
    network_uuid: two.uuid,
    ip: '10.1.2.99',
    state: 'running',
  });
  t.equal(moved['ip'], '10.1.2.99');
  t.equal(moved['state'], 'running');
  const old = await world.must('GET', `/networks/${one.uuid}/ips/10.1.1.2`);
  t.equal(old['free'], true);
  const now = await world.must('GET', `/networks/${two.uuid}/ips/10.1.2.99`);
  t.equal(now['belongs_to_uuid'], uuidOf(2, 1));
  const handed = await world.must('PUT', path, {
    belongs_to_uuid: uuidOf(2, 2),
  });
  t.equal(handed['belongs_to_uuid'], uuidOf(2, 2));
  const after = await world.must('GET', `/networks/${two.uuid}/ips/10.1.2.99`);
  t.equal(after['belongs_to_uuid'], uuidOf(2, 2), 'the address goes with it');
});

test('NICs are deleted on their etag, once', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const made = await world.call<Body>('POST', `/networks/${uuid}/nics`, {
    ...WHOSE,
    cn_uuid: CN,
  });
  const path = `/nics/${made.body['mac']}`;
  const etag = made.headers.get('etag') as string;
  await world.must('PUT', path, { state: 'running' });
  const stale = await world.call('DELETE', path, undefined, {
    'if-match': etag,
  });
  t.equal(stale.status, 412);
  const answers = await Promise.all(
    [1, 2, 3, 4].map(() => world.call('DELETE', path)),
  );
  t.deepEqual(answers.map(({ status }) => status).sort(), [204, 404, 404, 404]);
  const ip = await world.must('GET', `/networks/${uuid}/ips/10.1.1.2`);
  t.equal(ip['free'], true);
});

test('NICs are found by what they are', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  for (const n of [1, 2, 3]) {
    await world.must('POST', '/nics', {
      ...WHOSE,
      belongs_to_uuid: uuidOf(2, n),
      network_uuid: uuid,
      cn_uuid: CN,
      allow_ip_spoofing: n === 1,
      state: n === 2 ? 'running' : 'stopped',
    });
  }
  const count = async (query: string) =>
    (await world.must<unknown[]>('GET', `/nics?${query}`)).length;
  const two = `${uuidOf(2, 1)},${uuidOf(2, 2)}`;
  t.equal(await count(`belongs_to_uuid=${two}`), 2);
  t.equal(await count('allow_ip_spoofing=true'), 1);
  t.equal(await count('allow_ip_spoofing=false'), 2);
  t.equal(await count('state=running'), 1);
  t.equal(await count('belongs_to_type=server'), 0);
  t.equal(await count(`network_uuid=${uuid}&limit=2&offset=2`), 1);
  t.equal((await world.call('GET', '/nics?mac=1')).status, 422, 'strict');
});

test('a fabric NIC is known to SVP as soon as it is made', async (t) => {
  const world = await startWorld(t);
  await addZone(t, world, 1, { ip: '127.0.0.11', port: 0 });
  const { uuid, vnet_id } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const underlay = await world.must('POST', '/networks', {
    name: 'under',
    nic_tag: 'sdc_underlay',
    vlan_id: 0,
    subnet: '192.168.12.0/24',
    provision_start_ip: '192.168.12.1',
    provision_end_ip: '192.168.12.9',
  });
  await world.must('POST', `/networks/${underlay['uuid']}/nics`, {
    belongs_to_uuid: CN,
    belongs_to_type: 'server',
    owner_uuid: OWNER,
    underlay: true,
  });
  const nic = await addNic(world, {
    owner: OWNER,
    instance: uuidOf(2, 1),
    network: uuid,
  });
  const query = `/ul3_mappings?vnet_id=${vnet_id}&ip=${nic.ip}`;
  const [mapping] = await world.must<Body[]>('GET', query);
  t.equal(mapping?.['mac'], nic.mac);
  t.equal(mapping?.['cn_uuid'], CN);
  t.equal(mapping?.['ul3_ip'], '192.168.12.1');
  await world.must('DELETE', `/nics/${nic.mac}`);
  t.deepEqual(await world.must('GET', query), [], 'and gone when it is gone');
});
