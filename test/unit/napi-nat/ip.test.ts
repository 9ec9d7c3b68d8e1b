// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/networks/:uuid/ips` (facts: triton-napi 6.1), and choosing addresses. */

import test from 'tape';
import {
  addFabric,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';

type Body = Record<string, unknown>;
const OWNER = uuidOf(1, 1);
const IPS = `/networks/${PUBLIC_NETWORK}/ips`;
const HOLDER = {
  belongs_to_uuid: uuidOf(2, 1),
  belongs_to_type: 'other',
  owner_uuid: OWNER,
};

test('an address without a record reads as free', async (t) => {
  const world = await startWorld(t);
  const got = await world.call('GET', `${IPS}/3.3.3.77`);
  t.deepEqual(got.body, {
    ip: '3.3.3.77',
    network_uuid: PUBLIC_NETWORK,
    reserved: false,
    free: true,
  });
  t.equal(got.headers.get('etag'), null, 'no record has no etag');
  const messages = {
    '9.9.9.9': 'IP is not in subnet',
    nonsense: 'Invalid IP address',
    'fd00::1': 'IP and subnet are of different address families',
  };
  for (const [ip, message] of Object.entries(messages)) {
    const answer = await world.call('GET', `${IPS}/${ip}`);
    t.equal(answer.status, 404);
    t.equal(answer.body['message'], message);
  }
});

test('an address is given, kept back and freed by hand', async (t) => {
  const world = await startWorld(t);
  const path = `${IPS}/3.3.3.77`;
  const half = await world.call<Body>('PUT', path, {
    belongs_to_uuid: uuidOf(2, 1),
  });
  t.deepEqual(
    (half.body['errors'] as Body[]).map((each) => each['field']),
    ['belongs_to_type', 'owner_uuid'],
  );
  const given = await world.must('PUT', path, { ...HOLDER, reserved: true });
  t.deepEqual(given, {
    ip: '3.3.3.77',
    network_uuid: PUBLIC_NETWORK,
    reserved: true,
    free: false,
    ...HOLDER,
  });
  const query = `${IPS}?belongs_to_uuid=${HOLDER.belongs_to_uuid}`;
  t.deepEqual(await world.must('GET', query), [given]);
  const unassigned = await world.must('PUT', path, { unassign: true });
  t.equal(unassigned['owner_uuid'], OWNER, 'owner stays');
  t.notOk('belongs_to_uuid' in unassigned);
  const both = await world.call('PUT', path, { unassign: true, free: true });
  t.equal(both.status, 422);
  const freed = await world.must('PUT', path, { free: true });
  t.equal(freed['free'], true);
});

test('an address is created only once on If-Match ""', async (t) => {
  const world = await startWorld(t);
  const path = `${IPS}/3.3.3.78`;
  const only = { 'if-match': '""' };
  const answers = await Promise.all(
    [1, 2, 3, 4, 5].map((n) =>
      world.call(
        'PUT',
        path,
        { ...HOLDER, belongs_to_uuid: uuidOf(2, n) },
        only,
      ),
    ),
  );
  const counted = answers.map(({ status }) => status).sort();
  t.deepEqual(counted, [200, 412, 412, 412, 412]);
});

test('reserved addresses are skipped, and taken by name', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  await world.must('PUT', `/networks/${uuid}/ips/10.1.1.2`, { reserved: true });
  const nic = {
    belongs_to_uuid: uuidOf(2, 1),
    belongs_to_type: 'zone',
    owner_uuid: OWNER,
    cn_uuid: uuidOf(9, 1),
  };
  const first = await world.must('POST', `/networks/${uuid}/nics`, nic);
  t.equal(first['ip'], '10.1.1.3');
  const named = await world.must('POST', `/networks/${uuid}/nics`, {
    ...nic,
    ip: '10.1.1.2',
  });
  t.equal(named['ip'], '10.1.1.2');
  await world.must('DELETE', `/nics/${named['mac']}`);
  const kept = await world.must('GET', `/networks/${uuid}/ips/10.1.1.2`);
  t.equal(kept['reserved'], true, 'reserved outlives the NIC');
  t.equal(kept['owner_uuid'], OWNER);
});

test('an address may belong to what is no NIC, of any type', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const path = `/networks/${uuid}/ips/10.1.1.9`;
  const own = { belongs_to_uuid: uuidOf(2, 1), owner_uuid: OWNER };
  const put = { ...own, belongs_to_type: 'load balancer' };
  const taken = await world.must('PUT', path, put);
  t.equal(taken['belongs_to_type'], 'load balancer');
  const { status, body } = await world.call('POST', `/networks/${uuid}/nics`, {
    ...own,
    belongs_to_type: 'zone',
    cn_uuid: uuidOf(9, 1),
    ip: '10.1.1.9',
  });
  t.equal(status, 422);
  const [error] = (body as { errors: Record<string, unknown>[] }).errors;
  t.equal(
    error?.['message'],
    `IP in use by load balancer "${own.belongs_to_uuid}"`,
  );
});
