// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `subnet_alloc` (facts: triton-napi 4.5): which /24, and to one only. */

import test from 'tape';
import { formatCidr } from '#lib/net/cidr.js';
import { startWorld, uuidOf } from '#test/nat-world.js';
import { freeSubnet } from '../../../services/napi-nat/network/free-subnet.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);
const VLANS = `/fabrics/${OWNER}/vlans`;
const ALLOC = { subnet_alloc: true, family: 'ipv4', subnet_prefix: 24 };

test('the first gap, else below, else above, range after range', (t) => {
  const found = (...taken: string[]) => {
    const subnet = freeSubnet(taken);
    return subnet && formatCidr(subnet);
  };
  t.equal(found(), '10.0.0.0/24', 'nothing is there');
  t.equal(found('10.0.0.0/24'), '10.0.1.0/24', 'above');
  t.equal(found('10.0.5.0/24'), '10.0.4.0/24', 'below the first');
  t.equal(found('10.0.0.0/24', '10.0.2.0/24'), '10.0.1.0/24', 'a gap');
  t.equal(found('10.0.2.0/24', '10.0.0.0/24'), '10.0.1.0/24', 'in any order');
  t.equal(found('10.0.0.0/22'), '10.0.4.0/24', 'after a large one');
  t.equal(found('10.0.0.64/26', '10.0.0.0/26'), '10.0.1.0/24', 'small ones');
  t.equal(found('10.0.0.0/8'), '172.16.0.0/24', 'into the next range');
  t.equal(found('172.16.0.0/24'), '10.255.255.0/24', 'back into the last');
  t.equal(
    found('10.0.0.0/8', '192.168.255.0/24'),
    '172.16.0.0/24',
    'a gap between ranges',
  );
  const all = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'];
  t.equal(found(...all), null, 'all is taken');
  t.end();
});

test('networks that ask at once have subnets of their own', async (t) => {
  const world = await startWorld(t, {
    nat_reform: false,
    config: { auto_alloc_subnets: true },
  });
  await world.must('POST', VLANS, { vlan_id: 2 });
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      world.must<Body>('POST', `${VLANS}/2/networks`, {
        ...ALLOC,
        name: `net${n}`,
        internet_nat: true,
      }),
    ),
  );
  const subnets = made.map((each) => each['subnet']);
  t.equal(new Set(subnets).size, 20);
  const [first] = made.filter((each) => each['subnet'] === '10.0.0.0/24');
  t.equal(first?.['provision_start_ip'], '10.0.0.1');
  t.equal(first?.['provision_end_ip'], '10.0.0.254');
  t.equal(first?.['gateway'], '10.0.0.1');
  const ping = await world.must<{ config: Body }>('GET', '/ping');
  t.equal(ping.config['subnet_alloc_enabled'], true);
});

test('a vnet that is full is told so', async (t) => {
  const world = await startWorld(t, {
    nat_reform: false,
    config: { auto_alloc_subnets: true },
  });
  await world.must('POST', VLANS, { vlan_id: 2 });
  for (const subnet of ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']) {
    const start = subnet.replace(/\.0\/\d+$/, '.2');
    await world.must('POST', `${VLANS}/2/networks`, {
      name: subnet,
      subnet,
      provision_start_ip: start,
      provision_end_ip: start.replace(/2$/, '9'),
    });
  }
  const full = await world.call('POST', `${VLANS}/2/networks`, {
    ...ALLOC,
    name: 'more',
  });
  t.equal(full.status, 507);
  t.deepEqual(full.body, {
    code: 'SubnetsExhausted',
    message: 'out of subnets',
  });
});

test('the parameters of the two ways do not mix', async (t) => {
  const range = {
    subnet: '10.0.0.0/24',
    provision_start_ip: '10.0.0.1',
    provision_end_ip: '10.0.0.9',
  };
  const manual = 'Manual allocation parameter not allowed';
  const missing = 'Missing parameter';
  const cases: [boolean, object, Body][] = [
    [
      false,
      ALLOC,
      {
        subnet_auto_alloc: 'Subnet allocation is not enabled on this instance',
      },
    ],
    [
      true,
      { ...ALLOC, ...range },
      {
        provision_end_ip: manual,
        provision_start_ip: manual,
        subnet: manual,
      },
    ],
    [true, { subnet_alloc: true }, { family: missing, subnet_prefix: missing }],
    [
      true,
      { ...range, subnet_prefix: 24 },
      { subnet_prefix: 'Auto allocation parameter not allowed' },
    ],
    [
      true,
      { ...ALLOC, subnet_prefix: '24' },
      { subnet_prefix: 'Subnet prefix should be number' },
    ],
    [
      true,
      { ...ALLOC, subnet_prefix: 25 },
      { subnet_prefix: 'Only /24 is supported' },
    ],
    [true, { ...ALLOC, family: 'ipv6' }, { family: 'must be one of: "ipv4"' }],
    [
      true,
      { ...ALLOC, gateway: '192.168.0.1' },
      { gateway: 'gateway cannot be outside subnet' },
    ],
  ];
  for (const enabled of [true, false]) {
    const world = await startWorld(t, {
      nat_reform: false,
      config: { auto_alloc_subnets: enabled },
    });
    await world.must('POST', VLANS, { vlan_id: 2 });
    for (const [on, body, errors] of cases) {
      if (on !== enabled) continue;
      const answer = await world.call<Body>('POST', `${VLANS}/2/networks`, {
        name: 'n',
        ...body,
      });
      t.equal(answer.status, 422);
      const said = (answer.body['errors'] as Body[]).map((each) => [
        each['field'],
        each['message'],
      ]);
      t.deepEqual(said, Object.entries(errors), JSON.stringify(body));
    }
    t.deepEqual(await world.must('GET', `${VLANS}/2/networks`), []);
  }
});
