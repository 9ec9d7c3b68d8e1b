// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What listeners of napi-nat hear of networks and NICs over a real WebSocket,
 * with the wire messages of real NAPI (facts: triton-napi 10).
 */

import test from 'tape';
import { WebSocket } from 'ws';
import {
  addFabric,
  addNic,
  addZone,
  type NatWorld,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';
import { until } from '#test/until.js';

type Item = Record<string, unknown> & {
  changeKind: { resource: string; subResources: string[] };
  changedResourceId: string;
};
const OWNER = uuidOf(1, 1);

/** Registers as net-agent does; gives the items as they come. */
async function listen(
  world: NatWorld,
  resources: { resource: string; subResources: string[] }[],
): Promise<{ items: Item[]; socket: WebSocket }> {
  const socket = new WebSocket(
    `${world.url.replace('http', 'ws')}/changefeeds`,
    {
      headers: { 'accept-version': '~2' },
      perMessageDeflate: false,
    },
  );
  const items: Item[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () =>
      socket.send(
        JSON.stringify({ instance: 'i', service: 'net-agent', resources }),
      ),
    );
    socket.on('message', (text) => {
      const item = JSON.parse(String(text));
      if ('bootstrapRoutes' in item) resolve();
      else items.push(item);
    });
  });
  return { items, socket };
}

function kinds(items: Item[]): string[] {
  return items.map(
    ({ changeKind: { resource, subResources } }) =>
      `${resource} ${subResources.join()}`,
  );
}

test('net-agent hears of networks and NICs, in order', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { items, socket } = await listen(world, [
    { resource: 'network', subResources: ['create', 'delete', 'resolvers'] },
    { resource: 'nic', subResources: ['create', 'delete', 'primary', 'state'] },
  ]);
  t.teardown(() => socket.terminate());
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const path = `/networks/${uuid}`;
  await world.must('PUT', path, { resolvers: ['8.8.8.8'] });
  await world.must('PUT', path, { description: 'nobody hears of this' });
  const instance = uuidOf(2, 1);
  const nic = await addNic(world, { owner: OWNER, instance, network: uuid });
  await world.must('PUT', `/nics/${nic.mac}`, { state: 'running' });
  await world.must('PUT', `/nics/${nic.mac}`, { model: 'virtio' });
  await world.must('DELETE', `/nics/${nic.mac}`);
  await world.must('DELETE', path);
  await until(
    'all items',
    async () => items.length,
    (count) => count >= 6,
  );
  t.deepEqual(kinds(items), [
    'network create',
    'network resolvers',
    'nic create',
    'nic state',
    'nic delete',
    'network delete',
  ]);
  const [network, , made, , gone] = items;
  t.equal(network?.changedResourceId, uuid);
  t.match(String(network?.['etag']), /^[0-9a-f]{8}$/);
  t.equal(made?.changedResourceId, nic.mac);
  t.equal(made?.['belongs_to_uuid'], instance);
  t.equal(made?.['cn_uuid'], uuidOf(9, 1));
  t.notOk('etag' in (gone as Item), 'what is gone has no etag');
  t.match(String(made?.['published']), /^\d+$/);
  t.notOk('object' in (made as Item), 'the object is for our own subscriber');
});

test("the etag of an event is the object's", async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { items, socket } = await listen(world, [
    { resource: 'nic', subResources: ['create', 'state'] },
    { resource: 'network', subResources: ['create'] },
  ]);
  t.teardown(() => socket.terminate());
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const nic = await addNic(world, {
    owner: OWNER,
    instance: uuidOf(2, 1),
    network: uuid,
    primary: true,
  });
  await until(
    'two items',
    async () => items.length,
    (count) => count === 2,
  );
  for (const [item, path] of [
    [items[0], `/networks/${uuid}`],
    [items[1], `/nics/${nic.mac}`],
  ] as const) {
    const answer = await world.call('GET', path);
    t.equal(item?.['etag'], answer.headers.get('etag'), path);
  }
});

test('net-agent hears of aggregations, without a pool in between', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { items, socket } = await listen(world, [
    {
      resource: 'aggregation',
      subResources: ['create', 'delete', 'lacp_mode'],
    },
    { resource: 'network', subResources: ['create', 'delete'] },
  ]);
  t.teardown(() => socket.terminate());
  const server = uuidOf(9, 1);
  const { mac } = await world.must('POST', '/nics', {
    belongs_to_uuid: server,
    belongs_to_type: 'server',
    owner_uuid: OWNER,
  });
  await world.must('POST', '/network_pools', {
    name: 'unheard',
    networks: PUBLIC_NETWORK,
  });
  const made = await world.call('POST', '/aggregations', {
    name: 'aggr0',
    macs: [mac],
  });
  const path = `/aggregations/${server}-aggr0`;
  await world.must('PUT', path, { nic_tags_provided: ['external'] });
  await world.must('PUT', path, { lacp_mode: 'active' });
  await world.must('DELETE', path);
  await until(
    'three items',
    async () => items.length,
    (count) => count >= 3,
  );
  t.deepEqual(kinds(items), [
    'aggregation create',
    'aggregation lacp_mode',
    'aggregation delete',
  ]);
  for (const item of items) {
    t.equal(item.changedResourceId, `${server}-aggr0`);
    t.equal(item['belongs_to_uuid'], server);
    t.equal(item['name'], 'aggr0');
  }
  t.equal(items[0]?.['etag'], made.headers.get('etag'));
  t.notOk('etag' in (items[2] as Item));
});

test('a refused request is heard of by nobody', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { items, socket } = await listen(world, [
    { resource: 'network', subResources: ['create'] },
  ]);
  t.teardown(() => socket.terminate());
  await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const twice = await world.call('POST', `/fabrics/${OWNER}/vlans/2/networks`, {
    name: 'overlaps',
    subnet: '10.1.1.0/25',
    provision_start_ip: '10.1.1.2',
    provision_end_ip: '10.1.1.9',
  });
  t.equal(twice.status, 422);
  await addFabric(world, OWNER, 2, '10.1.2.0/24');
  await until(
    'two items',
    async () => items.length,
    (count) => count >= 2,
  );
  t.equal(items.length, 2);
});

test('a new fabric on NAT Reform tells of its public IP', async (t) => {
  const world = await startWorld(t);
  await addZone(t, world, 1, { ip: '127.0.0.11', port: 0 });
  const { items, socket } = await listen(world, [
    { resource: 'network', subResources: ['create', 'nat_reform_public'] },
    { resource: 'nat_public', subResources: ['create'] },
  ]);
  t.teardown(() => socket.terminate());
  const { nat_reform_public: ip } = await addFabric(
    world,
    OWNER,
    2,
    '10.1.1.0/24',
  );
  await until(
    'two items',
    async () => items.length,
    (count) => count >= 2,
  );
  t.equal(ip, '3.3.3.2');
  t.deepEqual(kinds(items).sort(), ['nat_public create', 'network create']);
});
