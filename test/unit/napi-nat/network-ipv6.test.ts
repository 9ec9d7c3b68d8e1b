// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** IPv6 networks (facts: triton-napi 3.4): recorded, listed, not provisioned. */

import test from 'tape';
import { ADMIN, startWorld, uuidOf } from '#test/nat-world.js';

type Body = Record<string, unknown>;

const GOOD = {
  name: 'six',
  nic_tag: 'external',
  vlan_id: 7,
  subnet: '2001:DB8:7::/64',
  provision_start_ip: '2001:db8:7::10',
  provision_end_ip: '2001:db8:7::ffff',
  gateway: '2001:db8:7::1',
  resolvers: ['2001:db8:7::53', '2001:4860:4860::8888'],
  routes: { '2001:db8:8::/48': '2001:db8:7::2' },
};

test('an IPv6 network shows its family, and no netmask', async (t) => {
  const world = await startWorld(t);
  const made = await world.must('POST', '/networks', {
    ...GOOD,
    uuid: uuidOf(5, 1),
  });
  t.deepEqual(made, {
    family: 'ipv6',
    mtu: 1500,
    ...GOOD,
    subnet: '2001:db8:7::/64',
    uuid: uuidOf(5, 1),
  });
  const path = `/networks/${uuidOf(5, 1)}`;
  t.deepEqual(await world.must('GET', path), made);
  const six = await world.must<Body[]>('GET', '/networks?family=ipv6');
  t.deepEqual(six, [made]);
  const ips = await world.must<Body[]>('GET', `${path}/ips`);
  t.deepEqual(
    ips.map((each) => [each['ip'], each['reserved']]),
    [
      ['2001:db8:7::1', true],
      ['2001:db8:7::f', false],
      ['2001:db8:7::53', true],
      ['2001:db8:7::1:0', false],
    ],
    'in order, without a broadcast address',
  );
});

test('addresses of an IPv6 network are kept and given by hand', async (t) => {
  const world = await startWorld(t);
  const { uuid } = await world.must('POST', '/networks', GOOD);
  const path = `/networks/${uuid}/ips`;
  const given = await world.must('PUT', `${path}/2001:db8:7:0:0::99`, {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'other',
    owner_uuid: ADMIN,
  });
  t.equal(given['ip'], '2001:db8:7::99');
  const got = await world.must('GET', `${path}/2001:db8:7::99`);
  t.deepEqual(got, given, 'one address however it is written');
  const four = await world.call('GET', `${path}/10.0.0.1`);
  t.equal(four.status, 404);
  t.equal(
    four.body['message'],
    'IP and subnet are of different address families',
  );
  const nic = await world.call<Body>('POST', `/networks/${uuid}/nics`, {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: uuidOf(1, 1),
  });
  t.deepEqual(nic.body['errors'], [
    {
      field: 'network_uuid',
      code: 'InvalidParameter',
      message: 'The network UUID is valid, but its address family must be IPv4',
    },
  ]);
});

test('an IPv6 network is changed like any other', async (t) => {
  const world = await startWorld(t);
  const { uuid } = await world.must('POST', '/networks', GOOD);
  const path = `/networks/${uuid}`;
  const put = await world.must('PUT', path, {
    provision_start_ip: '2001:db8:7::20',
    gateway: '2001:db8:7::3',
  });
  t.equal(put['gateway'], '2001:db8:7::3');
  const ips = await world.must<Body[]>('GET', `${path}/ips`);
  t.ok(ips.some((each) => each['ip'] === '2001:db8:7::1f'));
  const mixed = await world.call<Body>('PUT', path, {
    resolvers: ['8.8.8.8'],
  });
  t.equal(mixed.status, 422);
  t.equal((await world.call('DELETE', path)).status, 204);
});

test('families do not mix', async (t) => {
  const world = await startWorld(t);
  const both = (field: string) =>
    `${field} and subnet must both be IPv4 or IPv6 addresses`;
  const cases: [object, string, string, unknown?][] = [
    [
      { provision_start_ip: '10.0.0.1' },
      'provision_start_ip',
      both('provision_start_ip'),
    ],
    [
      { provision_end_ip: '10.0.0.1' },
      'provision_end_ip',
      both('provision_end_ip'),
    ],
    [
      { gateway: '10.0.0.1' },
      'gateway',
      'gateway should match subnet type (ipv6)',
    ],
    [
      { resolvers: ['8.8.8.8', '2001:db8:7::53'] },
      'resolvers',
      'resolvers should match subnet type (ipv6)',
      ['8.8.8.8'],
    ],
    [
      { routes: { '10.0.0.0/8': '10.0.0.1' } },
      'routes',
      'addresses used for routing should match subnet type (ipv6)',
      ['10.0.0.0/8'],
    ],
    [
      { routes: { '10.0.0.0/8': '2001:db8:7::1' } },
      'routes',
      'address family of route and next-hop address should match',
      ['10.0.0.0/8', '2001:db8:7::1'],
    ],
    [{ subnet: '2001:db8::/7' }, 'subnet', 'Subnet bits invalid'],
    [{ subnet: '2001:db8::/129' }, 'subnet', 'Subnet bits invalid'],
    [{ subnet: '2001:db8::1/64' }, 'subnet', 'invalid CIDR format'],
    [{ subnet: '2001:db8::x/64' }, 'subnet', 'Subnet IP invalid'],
    [
      { fabric: true, owner_uuids: [uuidOf(1, 1)], vnet_id: 5 },
      'subnet',
      'subnet must be within private ranges',
    ],
    [
      {
        fabric: true,
        owner_uuids: [uuidOf(1, 1)],
        vnet_id: 5,
        subnet: 'fd00::/64',
        provision_start_ip: 'fd00::2',
        provision_end_ip: 'fd00::9',
        gateway: 'fd00::1',
      },
      'subnet',
      'Fabric networks must be IPv4',
    ],
    [{ family: 'ipv6' }, 'family', 'must be one of: "ipv4"'],
  ];
  for (const [change, field, message, invalid] of cases) {
    const answer = await world.call<Body>('POST', '/networks', {
      ...GOOD,
      ...change,
    });
    const [error] = (answer.body['errors'] ?? []) as Body[];
    t.equal(error?.['field'], field, JSON.stringify(change));
    t.equal(error?.['message'], message);
    if (invalid) t.deepEqual(error?.['invalid'], invalid);
  }
});

test('public IPv6 subnets do not overlap, unique local ones may', async (t) => {
  const world = await startWorld(t);
  await world.must('POST', '/networks', GOOD);
  const clash = await world.call<Body>('POST', '/networks', {
    ...GOOD,
    name: 'clash',
    subnet: '2001:db8::/32',
  });
  const [error] = clash.body['errors'] as Body[];
  t.equal(error?.['message'], 'subnet overlaps with another network');
  for (const name of ['one', 'two']) {
    await world.must('POST', '/networks', {
      name,
      nic_tag: 'external',
      vlan_id: 7,
      subnet: 'fd00::/64',
      provision_start_ip: 'fd00::1',
      provision_end_ip: 'fd00::9',
    });
  }
});

test('a next hop may be the NIC itself where that is allowed', async (t) => {
  const four = {
    name: 'four',
    nic_tag: 'external',
    vlan_id: 7,
    subnet: '10.2.0.0/24',
    provision_start_ip: '10.2.0.10',
    provision_end_ip: '10.2.0.250',
    routes: { '10.3.0.0/24': 'linklocal' },
  };
  const strict = await startWorld(t);
  const refused = await strict.call<Body>('POST', '/networks', four);
  t.deepEqual(refused.body['errors'], [
    {
      field: 'routes',
      code: 'InvalidParameter',
      message: 'invalid route',
      invalid: ['linklocal'],
    },
  ]);
  const world = await startWorld(t, { config: { allow_linklocal: true } });
  const { uuid } = await world.must('POST', '/networks', four);
  const nic = await world.must('POST', `/networks/${uuid}/nics`, {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: uuidOf(1, 1),
  });
  t.deepEqual(nic['routes'], { '10.3.0.0/24': `macs[${nic['mac']}]` });
});
