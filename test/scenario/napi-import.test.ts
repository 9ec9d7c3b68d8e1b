// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A datacenter's NAPI is replaced: what it shows is imported, and the new one
 * shows the same, answers SVP the same, gives out what is free and nothing
 * else, and converts a legacy fabric. The old NAPI is a napi-nat too, whose
 * answers other tests hold to NAPI's.
 */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { createHttpServer } from '#lib/http/server.js';
import { silentLogger } from '#lib/service/log.js';
import {
  ADMIN,
  addFabric,
  addNic,
  addZone,
  type NatWorld,
  startWorld,
  uuidOf,
  zoneState,
} from '#test/nat-world.js';
import { freshAddress } from '#test/postgres.js';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';

const MAIN = fileURLToPath(
  new URL('../../services/napi-nat/main.js', import.meta.url),
);
const OWNER = uuidOf(1, 1);
const OTHER = uuidOf(1, 2);
const NODE = uuidOf(9, 1);

interface Run {
  status: number;
  said: string;
}

function importFrom(url: string, to: string): Promise<Run> {
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      [MAIN, 'store', 'import', url, to],
      (error, stdout, stderr) =>
        resolve({ status: Number(error?.code ?? 0), said: stdout + stderr }),
    ),
  );
}

/** Something of everything that NAPI has. */
async function furnish(world: NatWorld) {
  const { must } = world;
  const underlay = await must('POST', '/networks', {
    name: 'underlay',
    nic_tag: 'sdc_underlay',
    vlan_id: 0,
    subnet: '192.168.12.0/24',
    provision_start_ip: '192.168.12.1',
    provision_end_ip: '192.168.12.200',
    owner_uuids: [ADMIN],
    description: 'under all',
  });
  const server = { belongs_to_type: 'server', belongs_to_uuid: NODE };
  const link = await must('POST', '/nics', {
    ...server,
    owner_uuid: ADMIN,
    network_uuid: underlay['uuid'],
    underlay: true,
    nic_tags_provided: ['external'],
  });
  await must('POST', '/aggregations', {
    name: 'aggr0',
    macs: [link['mac']],
    lacp_mode: 'active',
  });
  const lab = await must('POST', '/networks', {
    name: 'lab6',
    nic_tag: 'external',
    vlan_id: 9,
    subnet: 'fd00:9::/64',
    provision_start_ip: 'fd00:9::1',
    provision_end_ip: 'fd00:9::ff',
    routes: { 'fd00:a::/64': 'fd00:9::1' },
  });
  await must('POST', '/network_pools', {
    name: 'six',
    networks: [lab['uuid']],
    owner_uuids: [OWNER],
    description: 'a pool',
  });
  const fabric = await addFabric(world, OWNER, 2, '10.4.4.0/24');
  await addFabric(world, OWNER, 3, '10.4.5.0/24');
  await addFabric(world, OTHER, 2, '10.4.4.0/24');
  await must('POST', `/fabrics/${OWNER}/vlans`, {
    vlan_id: 4,
    description: 'of no use yet',
  });
  const on = { owner: OWNER, network: fabric.uuid, cn: NODE };
  const made = await addNic(world, { ...on, instance: uuidOf(2, 1) });
  const freed = await addNic(world, { ...on, instance: uuidOf(2, 2) });
  await addNic(world, { ...on, instance: uuidOf(2, 3), primary: true });
  await must('DELETE', `/nics/${freed.mac}`);
  await must('PUT', `/nics/${made.mac}`, { state: 'running', model: 'virtio' });
  // The legacy NAT zone, by which the fabric has its Internet.
  const nat = { ...on, owner: ADMIN, instance: uuidOf(3, 1), ip: '10.4.4.1' };
  await addNic(world, nat);
  await must('PUT', `/networks/${fabric.uuid}/ips/10.4.4.99`, {
    reserved: true,
  });
  return { fabric, freed: freed.ip };
}

/** All that clients see, by path. */
async function shown({ must }: NatWorld): Promise<Record<string, unknown>> {
  const networks = await must<{ uuid: string }[]>('GET', '/networks');
  const paths = [
    ...['/nic_tags', '/nics', '/network_pools', '/aggregations'],
    ...[OWNER, OTHER].map((owner) => `/fabrics/${owner}/vlans`),
    ...networks.map(({ uuid }) => `/networks/${uuid}/ips`),
  ];
  const all: Record<string, unknown> = { '/networks': networks };
  for (const path of paths) all[path] = await must('GET', path);
  const rows = await must<{ ip: string }[]>('GET', '/ul3_mappings');
  all['what SVP answers'] = rows.sort((a, b) => (a.ip < b.ip ? -1 : 1));
  return all;
}

test('what a NAPI has is taken over', async (t) => {
  const old = await startWorld(t, { nat_reform: false });
  const { fabric, freed } = await furnish(old);
  const before = await shown(old);
  const directory = join(temporaryDirectory(t), 'store');
  const { status, said } = await importFrom(old.url, directory);
  t.equal(status, 0, said);
  t.match(said, /^imported \d+ nic tags, 6 networks, 4 VLANs, \d+ addresses,/);
  const again = await importFrom(old.url, directory);
  t.equal(again.status, 1);
  t.match(again.said, /the store to write to is not empty/);
  await old.stop();

  const world = await startWorld(t, { nat_reform: false, directory });
  const after = await shown(world);
  for (const [path, answer] of Object.entries(before)) {
    t.deepEqual(after[path], answer, path);
  }
  const nic = { owner: OWNER, network: fabric.uuid, cn: NODE };
  const next = await addNic(world, { ...nic, instance: uuidOf(2, 4) });
  t.equal(next.ip, '10.4.4.5', 'the lowest one never used');
  const used = await addNic(world, {
    ...nic,
    instance: uuidOf(2, 5),
    ip: freed,
  });
  t.equal(used.ip, freed, 'what was freed is free');
  const taken = await world.call('POST', `/fabrics/${OWNER}/vlans/2/networks`, {
    name: 'net-10.4.4.0/24',
    subnet: '10.9.9.0/24',
    provision_start_ip: '10.9.9.2',
    provision_end_ip: '10.9.9.9',
  });
  t.equal(taken.status, 422, 'names are as unique as they were');

  const zone = await addZone(t, world, 1, { ip: '127.0.71.1', port: 0 });
  await zoneState(world, zone.uuid, 'up');
  const path = `/networks/${fabric.uuid}`;
  const asked = await world.must('PUT', path, { nat_reform_public: '' });
  t.ok(asked['nat_reform_job'], 'a legacy fabric is converted by a job');
  await until(
    'the new router',
    () => world.must('GET', path),
    (network) => network['nat_reform_public'] !== '',
  );
});

test('so it is into PostgreSQL', async (t) => {
  const old = await startWorld(t, { nat_reform: false });
  await furnish(old);
  const before = await shown(old);
  const { url, schema } = await freshAddress();
  const { status, said } = await importFrom(old.url, `${url}?schema=${schema}`);
  t.equal(status, 0, said);
  await old.stop();
  const config = { store: { postgres: { url, schema } } };
  const world = await startWorld(t, { nat_reform: false, config });
  t.deepEqual(await shown(world), before);
});

/** A NAPI that shows one thing and fails at the next. */
async function brokenNapi(t: Test): Promise<string> {
  const http = createHttpServer({
    name: 'napi',
    log: silentLogger(),
    precedence: ['route', 'query', 'body'],
    versions: ['1.0.0'],
    maxBodyBytes: 1000,
  });
  const tag = { name: 'left_over', uuid: uuidOf(4, 1), mtu: 1500 };
  http.add([
    {
      method: 'GET',
      path: '/nic_tags',
      name: 'tags',
      handler: () => ({ status: 200, body: [tag] }),
    },
  ]);
  const { port } = await http.listen('127.0.0.1', 0);
  t.teardown(() => http.close());
  return `http://127.0.0.1:${port}`;
}

test('an import that failed half-way is run again', async (t) => {
  const directory = join(temporaryDirectory(t), 'store');
  const failed = await importFrom(await brokenNapi(t), directory);
  t.equal(failed.status, 1);
  t.match(failed.said, /\/networks does not exist/);
  await startWorld(t, { directory }).then(
    () => t.fail('half a store was opened'),
    (error: Error) => t.match(error.message, /was not finished/),
  );
  const old = await startWorld(t);
  const done = await importFrom(old.url, directory);
  t.equal(done.status, 0, done.said);
  await old.stop();
  const { must } = await startWorld(t, { directory });
  const tags = await must<{ name: string }[]>('GET', '/nic_tags');
  t.notOk(tags.some(({ name }) => name === 'left_over'));
});

test('a NAPI with NAT Reform, and none at all', async (t) => {
  const world = await startWorld(t);
  await addZone(t, world, 1, { ip: '127.0.72.1', port: 0 });
  await addFabric(world, OWNER, 2, '10.4.4.0/24');
  const base = temporaryDirectory(t);
  const ours = await importFrom(world.url, join(base, 'a'));
  t.match(ours.said, /is on NAT Reform: copy that store instead/);
  const nobody = await importFrom('http://127.0.0.1:1', join(base, 'b'));
  t.match(nobody.said, /ECONNREFUSED/);
  t.equal(nobody.status, 1);
  const wrong = await importFrom('/var/db', join(base, 'c'));
  t.equal(wrong.status, 2, wrong.said);
});
