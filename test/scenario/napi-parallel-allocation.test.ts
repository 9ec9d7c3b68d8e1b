// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Hundreds of requests at once over real HTTP: nothing is given out twice,
 * nothing is left over when everything is gone, and what is given back comes
 * again in the order it was given back.
 */

import test, { type Test } from 'tape';
import {
  addFabric,
  type NatWorld,
  startWorld,
  uuidOf,
  type WorldOptions,
} from '#test/nat-world.js';
import { freshAddress } from '#test/postgres.js';

const OWNER = uuidOf(1, 1);
const CN = uuidOf(9, 1);

function provision(
  world: NatWorld,
  network: string,
  n: number,
  more: object = {},
) {
  return world.call<{ ip: string; mac: string; code: string }>(
    'POST',
    `/networks/${network}/nics`,
    {
      belongs_to_uuid: uuidOf(2, n),
      belongs_to_type: 'zone',
      owner_uuid: OWNER,
      cn_uuid: CN,
      ...more,
    },
  );
}

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

function unique<T>(values: T[]): number {
  return new Set(values).size;
}

function addressesFrom(prefix: string, first: number, last: number): string[] {
  return times(last - first + 1, (i) => `${prefix}.${first + i}`);
}

function byLastOctet(a: string, b: string): number {
  return Number(a.split('.')[3]) - Number(b.split('.')[3]);
}

async function fill(t: Test, config: WorldOptions['config'] = {}) {
  const world = await startWorld(t, { nat_reform: false, config });
  // 10.1.1.2 - .250, all of them for NICs: the gateway is .1.
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const answers = await Promise.all(
    times(300, (n) => provision(world, uuid, n)),
  );
  const made = answers.filter(({ status }) => status === 200);
  const full = answers.filter(({ status }) => status === 507);
  t.equal(made.length, 249, 'as many NICs as there are addresses');
  t.equal(full.length, 51, 'the others are told that it is full');
  t.deepEqual(full[0]?.body, {
    code: 'SubnetFull',
    message: 'no more free IPs',
    network_uuid: uuid,
  } as never);
  const ips = made.map(({ body }) => body.ip).sort(byLastOctet);
  t.deepEqual(ips, addressesFrom('10.1.1', 2, 250), 'every address, once');
  t.equal(unique(made.map(({ body }) => body.mac)), 249, 'no MAC twice');

  const order = [77, 12, 200, 3];
  for (const octet of order) {
    const nic = made.find(({ body }) => body.ip === `10.1.1.${octet}`);
    await world.must('DELETE', `/nics/${nic?.body.mac}`);
    // Order is by milliseconds: two in one would be as old as each other.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const again: string[] = [];
  for (const n of order) {
    again.push((await provision(world, uuid, 1000 + n)).body.ip);
  }
  t.deepEqual(
    again,
    order.map((octet) => `10.1.1.${octet}`),
    'longest free first',
  );
  t.equal((await provision(world, uuid, 5000)).status, 507, 'full again');
}

test('a /24 is given out exactly once, then again oldest first', (t) =>
  fill(t));

test('so it is on PostgreSQL', async (t) =>
  fill(t, { store: { postgres: await freshAddress() } }));

test('NICs come and go at once and no address has two', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  await Promise.all(
    times(40, async (n) => {
      for (let round = 0; round < 5; round++) {
        const nic = await provision(world, uuid, n * 10 + round);
        if (nic.status !== 200) throw new Error(JSON.stringify(nic.body));
        if (round % 2 === 0)
          await world.must('DELETE', `/nics/${nic.body.mac}`);
      }
    }),
  );
  const nics = await world.must<{ ip: string; belongs_to_uuid: string }[]>(
    'GET',
    '/nics',
  );
  t.equal(nics.length, 80, 'two of each five stay');
  t.equal(unique(nics.map(({ ip }) => ip)), 80, 'each with its own address');
  const records = await world.must<Record<string, unknown>[]>(
    'GET',
    `/networks/${uuid}/ips`,
  );
  const held = new Map(records.map((each) => [each['ip'], each]));
  const wrong = nics.filter(
    ({ ip, belongs_to_uuid: owner }) =>
      held.get(ip)?.['belongs_to_uuid'] !== owner,
  );
  t.deepEqual(wrong, [], 'every address belongs to the NIC that has it');
  const zone = records.filter((each) => each['belongs_to_type'] === 'zone');
  t.equal(zone.length, 80, 'no address belongs to a NIC that is gone');
});

test('a named address goes to one of many', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const answers = await Promise.all(
    times(30, (n) => provision(world, uuid, n, { ip: '10.1.1.9' })),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  t.equal(answers.filter(({ status }) => status === 422).length, 29);
});

test('one MAC asked for by many is had by one', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const mac = '90:b8:d0:00:00:07';
  const answers = await Promise.all(
    times(30, (n) => provision(world, uuid, n, { mac })),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  const records = await world.must<Record<string, unknown>[]>(
    'GET',
    `/networks/${uuid}/ips?belongs_to_type=zone`,
  );
  t.equal(records.length, 1, 'the losers hold no address');
});

test('owners that come at once have vnets of their own', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const answers = await Promise.all(
    times(120, (n) =>
      world.must<{ vnet_id: number }>(
        'POST',
        `/fabrics/${uuidOf(3, n)}/vlans`,
        { vlan_id: 2, name: 'first' },
      ),
    ),
  );
  t.equal(unique(answers.map(({ vnet_id: id }) => id)), 120);
});

test('one owner who asks many times has one vnet', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const answers = await Promise.all(
    times(50, (n) =>
      world.must<{ vnet_id: number }>('POST', `/fabrics/${OWNER}/vlans`, {
        vlan_id: n + 2,
      }),
    ),
  );
  t.equal(unique(answers.map(({ vnet_id: id }) => id)), 1);
  const again = await Promise.all(
    times(20, () =>
      world.call('POST', `/fabrics/${OWNER}/vlans`, { vlan_id: 100 }),
    ),
  );
  t.equal(again.filter(({ status }) => status === 200).length, 1);
});

test('of fabric networks that overlap one is made', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const base = `/fabrics/${OWNER}/vlans`;
  for (const vlan of [2, 3]) await world.must('POST', base, { vlan_id: vlan });
  const answers = await Promise.all(
    times(40, (n) =>
      world.call<Record<string, unknown>>(
        'POST',
        `${base}/${2 + (n % 2)}/networks`,
        {
          name: `net${n}`,
          subnet: n % 3 === 0 ? '10.4.4.0/22' : '10.4.5.0/24',
          provision_start_ip: '10.4.5.2',
          provision_end_ip: '10.4.5.250',
        },
      ),
    ),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  const lost = answers.filter(({ status }) => status === 422);
  const errors = lost.map(({ body }) => body['errors']);
  const [error] = errors[0] as Record<string, unknown>[];
  t.equal(error?.['message'], 'subnet overlaps with another network');
  t.equal(error?.['code'], 'UsedBy');
  const two = await world.must<unknown[]>('GET', `${base}/2/networks`);
  const three = await world.must<unknown[]>('GET', `${base}/3/networks`);
  t.equal(two.length + three.length, 1);
});

test('of networks of one name one is made', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const answers = await Promise.all(
    times(30, (n) =>
      world.call('POST', '/networks', {
        name: 'wanted',
        nic_tag: 'external',
        vlan_id: 5,
        subnet: `10.${n}.0.0/24`,
        provision_start_ip: `10.${n}.0.2`,
        provision_end_ip: `10.${n}.0.9`,
      }),
    ),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 1);
  const lost = answers.find(({ status }) => status === 422);
  t.equal(lost?.body['message'], 'name is in use by another network');
});

test('a network that goes takes no NIC with it', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const [removed, ...made] = await Promise.all([
    world.call('DELETE', `/networks/${uuid}`),
    ...times(20, (n) => provision(world, uuid, n)),
  ]);
  const nics = await world.must<unknown[]>('GET', '/nics');
  const gone = (await world.call('GET', `/networks/${uuid}`)).status === 404;
  t.equal(gone, removed.status === 204, 'the answer is the truth');
  t.equal(nics.length, gone ? 0 : 20, 'all or nothing');
  t.equal(made.filter(({ status }) => status === 200).length, nics.length);
});
