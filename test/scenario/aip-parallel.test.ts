// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Two requests get one address, or a mapping outlives its NIC. */

import test from 'tape';
import {
  addFabric,
  addNic,
  addZone,
  startWorld,
  uuidOf,
  zoneState,
} from '#test/nat-world.js';

const OWNER = uuidOf(1, 1);

interface AipView {
  uuid: string;
  ip: string;
  private_ip?: string;
}

test('hundreds of CreateAIPs at once: no duplicate, exact end', async (t) => {
  const world = await startWorld(t, { pool_end: '3.3.3.201' });
  const answers = await Promise.all(
    Array.from({ length: 260 }, () =>
      world.call<AipView & { code?: string }>('POST', '/aips', {
        owner_uuid: OWNER,
      }),
    ),
  );
  const made = answers.filter((each) => each.status === 200);
  const full = answers.filter((each) => each.status === 507);
  t.equal(made.length, 200, 'as many as there are addresses');
  t.equal(full.length, 60, 'the others are told so');
  t.ok(full.every((each) => each.body.code === 'SubnetFull'));
  t.equal(new Set(made.map((each) => each.body.ip)).size, 200);
  const first = made[17]?.body as AipView;
  t.equal((await world.call('DELETE', `/aips/${first.uuid}`)).status, 204);
  const again = await world.must<AipView>('POST', '/aips', {
    owner_uuid: OWNER,
  });
  t.equal(again.ip, first.ip, 'a freed address is used again');
});

test('CreateAIPs of many owners at once fill the pool alike', async (t) => {
  const world = await startWorld(t, { pool_end: '3.3.3.201' });
  const create = (i: number) =>
    world.call<AipView>('POST', '/aips', { owner_uuid: uuidOf(1, i % 90) });
  const some = await Promise.all(
    Array.from({ length: 150 }, (_, i) => create(i)),
  );
  t.ok(some.every(({ status }) => status === 200));
  const last = (ip: string) => Number(ip.split('.')[3]);
  const got = some.map(({ body }) => last(body.ip)).sort((a, b) => a - b);
  const lowest = Array.from({ length: 150 }, (_, i) => i + 2);
  t.deepEqual(got, lowest, 'the lowest addresses, none left out');
  const more = await Promise.all(
    Array.from({ length: 90 }, (_, i) => create(i)),
  );
  t.equal(more.filter(({ status }) => status === 200).length, 50);
  t.equal(more.filter(({ status }) => status === 507).length, 40);
});

test('a NIC that goes takes its AIP along, whoever is first', async (t) => {
  const world = await startWorld(t);
  const zone = await addZone(t, world, 1, { ip: '127.0.0.12', port: 0 });
  await zoneState(world, zone.uuid, 'up');
  const { uuid: network } = await addFabric(world, OWNER, 2, '10.4.4.0/24');
  const rounds = Array.from({ length: 40 }, (_, i) => i);
  await Promise.all(
    rounds.map(async (i) => {
      const instance = uuidOf(2, i);
      const nic = await addNic(world, { owner: OWNER, instance, network });
      const aip = await world.must<AipView>('POST', '/aips', {
        owner_uuid: OWNER,
      });
      const gone = world.call('DELETE', `/nics/${nic.mac.replaceAll(':', '')}`);
      const put = world.call('PUT', `/aips/${aip.uuid}`, { instance });
      const [deleted, assigned] = await Promise.all([gone, put]);
      if (deleted.status !== 204) t.fail(JSON.stringify(deleted.body));
      if (![200, 404].includes(assigned.status)) {
        t.fail(JSON.stringify(assigned.body));
      }
    }),
  );
  t.deepEqual(await world.must('GET', `/nics?network_uuid=${network}`), []);
  const left = await world.must<AipView[]>('GET', '/aips');
  t.equal(left.length, 40);
  t.deepEqual(
    left.filter((each) => each.private_ip !== undefined),
    [],
    'no AIP points at a NIC that is gone',
  );
  const plane = await world.must<{ one_to_ones: object[] }>(
    'GET',
    '/dataplane',
  );
  t.deepEqual(plane.one_to_ones, []);
});

test('many AIPs for one private address: one wins', async (t) => {
  const world = await startWorld(t);
  const zone = await addZone(t, world, 1, { ip: '127.0.0.13', port: 0 });
  await zoneState(world, zone.uuid, 'up');
  const { uuid: network } = await addFabric(world, OWNER, 2, '10.4.4.0/24');
  const instance = uuidOf(2, 1);
  await addNic(world, { owner: OWNER, instance, network });
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      world.call('POST', '/aips', { owner_uuid: OWNER, instance }),
    ),
  );
  t.equal(answers.filter((each) => each.status === 200).length, 1);
  t.equal(answers.filter((each) => each.status === 409).length, 49);
});
