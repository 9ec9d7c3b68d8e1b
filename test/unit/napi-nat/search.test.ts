// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/search/ips` (facts: triton-napi 6.5). */

import test from 'tape';
import { addFabric, addNic, startWorld, uuidOf } from '#test/nat-world.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);

test('an address is found on each network that has it', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const fabric = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const plain = await world.must('POST', '/networks', {
    name: 'lab',
    nic_tag: 'external',
    vlan_id: 7,
    subnet: '10.1.0.0/16',
    provision_start_ip: '10.1.0.10',
    provision_end_ip: '10.1.0.250',
  });
  await addNic(world, {
    owner: OWNER,
    instance: uuidOf(2, 1),
    network: fabric.uuid,
    ip: '10.1.1.9',
  });
  const search = (query: string) =>
    world.call<Body[]>('GET', `/search/ips?${query}`);
  const networks = async (query: string) =>
    (await search(query)).body.map((each) => each['network_uuid']).sort();
  const both = [fabric.uuid, plain['uuid'] as string].sort();
  t.deepEqual(await networks('ip=10.1.1.9'), both);
  t.deepEqual(await networks('ip=10.1.2.9'), [plain['uuid']]);
  t.deepEqual(await networks('ip=10.1.1.9&fabric=true'), [fabric.uuid]);
  t.deepEqual(await networks('ip=10.1.1.9&fabric=false'), [plain['uuid']]);
  const held = {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: OWNER,
  };
  for (const [field, value] of Object.entries(held)) {
    const found = await search(`ip=10.1.1.9&${field}=${value}`);
    t.deepEqual(
      found.body,
      [
        {
          ip: '10.1.1.9',
          network_uuid: fabric.uuid,
          reserved: false,
          free: false,
          ...held,
        },
      ],
      field,
    );
  }
  for (const query of [
    'ip=9.9.9.9',
    `ip=10.1.1.9&owner_uuid=${uuidOf(1, 2)}`,
  ]) {
    const none = await search(query);
    t.deepEqual(
      [none.status, none.body],
      [
        404,
        {
          code: 'ResourceNotFound',
          message: 'No networks found matching search criteria',
        } as never,
      ],
      query,
    );
  }
});

test('what is wrong with a search is said by field', async (t) => {
  const world = await startWorld(t);
  const cases: [string, unknown, string][] = [
    ['', 'ip', 'Missing parameter'],
    ['ip=x', 'ip', 'invalid IP address'],
    ['ip=1.2.3.4&fabric=1', 'fabric', 'must be a boolean value'],
    ['ip=1.2.3.4&owner_uuid=x', 'owner_uuid', 'invalid UUID'],
    ['ip=1.2.3.4&limit=1', ['limit'], 'Unknown parameters: limit'],
  ];
  for (const [query, field, message] of cases) {
    const answer = await world.call<Body>('GET', `/search/ips?${query}`);
    const [error] = answer.body['errors'] as Body[];
    t.equal(answer.status, 422, query);
    t.deepEqual([error?.['field'], error?.['message']], [field, message]);
  }
});
