// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A legacy fabric is converted and loses its router on the way: a step comes
 * too early, a failure leaves neither the old NAT zone nor the new one, a
 * restart forgets the job, or a network that nobody asked for is touched.
 */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { silentLogger } from '#lib/service/log.js';
import { createSvpClient } from '#lib/svp/client.js';
import { createLogLoop } from '#lib/svp/log-loop.js';
import {
  ADMIN,
  addFabric,
  addNic,
  addZone,
  type FakeZone,
  type NatWorld,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
  type WorldOptions,
  zoneState,
} from '#test/nat-world.js';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';

const [OWNER, VM, OLD_ZONE] = [uuidOf(1, 1), uuidOf(2, 1), uuidOf(2, 9)];
const [CN, OLD_CN] = [uuidOf(9, 1), uuidOf(9, 2)];
const GATEWAY = '10.4.4.1';

interface Job {
  uuid: string;
  execution: string;
  step: string;
  progress: number;
  public_ip?: string;
  log: { message: string }[];
}

interface Row {
  ip: string;
  mac: string;
  cn_uuid: string;
}

interface Sapi {
  url: string;
  /** What it answers, one by one; 204 when none is left. */
  answers: number[];
  deleted: string[];
  close: () => Promise<void>;
}

async function fakeSapi(t: Test): Promise<Sapi> {
  const server: Server = createServer((request, response) => {
    const status = sapi.answers.shift() ?? 204;
    if (status === 204) sapi.deleted.push(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(status === 204 ? '' : '{"code":"X","message":"said no"}');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((done) => {
      server.closeAllConnections();
      server.close(() => done());
    });
  const url = `http://127.0.0.1:${port}`;
  const sapi: Sapi = { url, answers: [], deleted: [], close };
  t.teardown(() => sapi.close());
  return sapi;
}

function addUnderlay(world: NatWorld, tag: string) {
  return world.must<{ uuid: string }>('POST', '/networks', {
    name: tag,
    nic_tag: tag,
    vlan_id: 0,
    subnet: '192.168.12.0/24',
    provision_start_ip: '192.168.12.1',
    provision_end_ip: '192.168.12.200',
  });
}

/** A compute node that acts on its shootdowns. */
async function addNode(t: Test, world: NatWorld, n: number, uuid: string) {
  const ip = `192.168.12.${n}`;
  const tag = 'sdc_underlay';
  const known = await world.call('GET', `/nic_tags/${tag}`);
  if (known.status === 404) {
    await world.must('POST', '/nic_tags', { name: tag });
  }
  const all = await world.must<{ uuid: string }[]>(
    'GET',
    `/networks?nic_tag=${tag}`,
  );
  const network = all[0] ?? (await addUnderlay(world, tag));
  await world.must('POST', `/networks/${network.uuid}/nics`, {
    belongs_to_type: 'server',
    belongs_to_uuid: uuid,
    owner_uuid: ADMIN,
    ip,
    underlay: true,
  });
  const [clock, log] = [systemClock(), silentLogger()];
  const client = createSvpClient({ ...world.svp, clock, log });
  const loop = createLogLoop({
    client,
    underlayIp: parseIpv4(ip) as Ipv4,
    clock,
    random: Math.random,
    log,
    idleMs: 20,
    jitterMs: 0,
    workMs: 0,
    onVl2: () => {},
    onVl3: () => {},
  });
  loop.start();
  t.teardown(() => {
    loop.stop();
    client.close();
  });
}

interface Legacy {
  world: NatWorld;
  zone: FakeZone;
  fabric: Awaited<ReturnType<typeof addFabric>>;
  sapi: Sapi;
  before: Row;
}

/** A fabric with an instance and its own NAT zone; one NAT Reform zone. */
async function legacy(
  t: Test,
  net: string,
  options: WorldOptions = {},
): Promise<Legacy> {
  const sapi = await fakeSapi(t);
  const world = await startWorld(t, {
    nat_reform: false,
    sapi: sapi.url,
    ...options,
  });
  const zone = await addZone(t, world, 1, { ip: `127.0.${net}.1`, port: 0 });
  await zoneState(world, zone.uuid, 'up');
  await addNode(t, world, 1, CN);
  await addNode(t, world, 2, OLD_CN);
  const fabric = await addFabric(world, OWNER, 2, '10.4.4.0/24');
  const network = fabric.uuid;
  await addNic(world, { owner: OWNER, instance: VM, network, cn: CN });
  await natZone(world, network, OLD_ZONE, OLD_CN);
  const before = await routerOf(world, fabric.vnet_id);
  return { world, zone, fabric, sapi, before };
}

/** The NIC of a legacy NAT zone, as VMAPI's workflow has it. */
function natZone(world: NatWorld, network: string, vm: string, cn: string) {
  return world.must('POST', '/nics', {
    owner_uuid: ADMIN,
    belongs_to_uuid: vm,
    belongs_to_type: 'zone',
    network_uuid: network,
    cn_uuid: cn,
    ip: GATEWAY,
  });
}

async function routerOf(world: NatWorld, vnet: number): Promise<Row> {
  const rows = await world.must<Row[]>('GET', `/ul3_mappings?vnet_id=${vnet}`);
  const [row] = rows.filter(({ ip }) => ip === GATEWAY);
  if (row === undefined) throw new Error('there is no router');
  return row;
}

/** Asks for it; the job's UUID. */
async function convert({ world, fabric }: Legacy): Promise<string> {
  const path = `/networks/${fabric.uuid}`;
  const asked = await world.must('PUT', path, { nat_reform_public: '' });
  const job = asked['nat_reform_job'] as string;
  if (asked['nat_reform_public'] !== '' || !job) {
    throw new Error(`no job: ${JSON.stringify(asked)}`);
  }
  return job;
}

function job(
  world: NatWorld,
  uuid: string,
  what: string,
  suits: (job: Job) => boolean,
): Promise<Job> {
  return until(what, () => world.must<Job>('GET', `/jobs/${uuid}`), suits);
}

const ended = ({ execution }: Job) =>
  execution !== 'queued' && execution !== 'running';
const waits = ({ log }: Job) =>
  log.some(({ message }) => message.startsWith('waits for zone'));

/** All is as if nobody had asked. */
async function untouched(t: Test, it: Legacy): Promise<void> {
  const { world, fabric, before, zone } = it;
  t.deepEqual(await routerOf(world, fabric.vnet_id), before, 'same router');
  const now = await world.must('GET', `/networks/${fabric.uuid}`);
  t.equal(now['nat_reform_public'], undefined, 'the network is legacy');
  t.equal(now['nat_reform_job'], undefined);
  t.equal(now['gateway_provisioned'], true);
  const publics = await world.must('GET', '/nat_publics');
  t.deepEqual(publics, [], 'its public IP is free again');
  const plane = await world.must<{ fabrics: unknown[] }>('GET', '/dataplane');
  t.deepEqual(plane.fabrics, [], 'the zones have no rule of it');
  await until(
    'the zone to be in sync',
    () => world.must('GET', `/nat_zones/${zone.uuid}`),
    (each) => (each['status'] as { in_sync: boolean }).in_sync,
  );
}

test('a fabric is converted; its router moves when zones are ready', async (t) => {
  const it = await legacy(t, '41');
  const { world, zone, fabric, sapi, before } = it;
  t.equal(before.cn_uuid, OLD_CN);
  zone.lag(true);
  const uuid = await convert(it);
  t.equal(await convert(it), uuid, 'asking twice is asking once');
  const held = await job(world, uuid, 'the job to wait', waits);
  t.equal(held.step, 'sync');
  t.deepEqual(await routerOf(world, fabric.vnet_id), before, 'not yet');
  const aip = { owner_uuid: OWNER, instance: VM };
  const early = await world.call('POST', '/aips', aip);
  t.ok(early.status >= 400, 'no AIP before it is converted');
  zone.lag(false);
  const done = await job(world, uuid, 'the end', ended);
  t.equal(done.execution, 'succeeded', JSON.stringify(done.log));
  t.equal(done.progress, 100);
  const row = await routerOf(world, fabric.vnet_id);
  t.equal(row.cn_uuid, zone.uuid, 'the zone is the router');
  t.equal(row.mac, before.mac, 'under the MAC that instances know');
  t.deepEqual(sapi.deleted, [`/instances/${OLD_ZONE}`]);
  const now = await world.must('GET', `/networks/${fabric.uuid}`);
  t.equal(now['nat_reform_public'], done.public_ip);
  t.equal(now['nat_reform_job'], undefined);
  const mac = before.mac.replaceAll(':', '');
  t.equal((await world.call('DELETE', `/nics/${mac}`)).status, 204);
  t.deepEqual(await routerOf(world, fabric.vnet_id), row, 'the NIC may go');
  const late = await world.call('POST', `/jobs/${uuid}/cancel`);
  t.equal(late.status, 409);
  await world.must('POST', '/aips', aip);
});

test('allocate fails: the old NAT zone serves on', async (t) => {
  const it = await legacy(t, '42', { pool_end: '3.3.3.3' });
  for (const n of [77, 78]) {
    await it.world.must('POST', `/networks/${PUBLIC_NETWORK}/nics`, {
      owner_uuid: ADMIN,
      belongs_to_uuid: uuidOf(2, n),
      belongs_to_type: 'zone',
    });
  }
  const done = await job(it.world, await convert(it), 'the end', ended);
  t.equal(done.execution, 'failed');
  t.match(done.log.at(-1)?.message ?? '', /no more free IPs/i);
  await untouched(t, it);
});

test('canceled while it waits: the old NAT zone serves on', async (t) => {
  const it = await legacy(t, '43');
  it.zone.lag(true);
  const uuid = await convert(it);
  await job(it.world, uuid, 'sync', waits);
  await it.world.must('POST', `/jobs/${uuid}/cancel`);
  const done = await job(it.world, uuid, 'the end', ended);
  t.equal(done.execution, 'canceled');
  it.zone.lag(false);
  await untouched(t, it);
  const again = await job(it.world, await convert(it), 'the end', ended);
  t.equal(again.execution, 'succeeded', 'it can be asked for again');
});

test('the switch finds another NAT zone: that one serves on', async (t) => {
  const it = await legacy(t, '44');
  it.zone.lag(true);
  const uuid = await convert(it);
  await job(it.world, uuid, 'sync', waits);
  const mac = it.before.mac.replaceAll(':', '');
  t.equal((await it.world.call('DELETE', `/nics/${mac}`)).status, 204);
  await natZone(it.world, it.fabric.uuid, uuidOf(2, 8), CN);
  const before = await routerOf(it.world, it.fabric.vnet_id);
  it.zone.lag(false);
  const done = await job(it.world, uuid, 'the end', ended);
  t.equal(done.execution, 'failed');
  await untouched(t, { ...it, before });
});

test('SAPI refuses to delete the old NAT zone: it serves again', async (t) => {
  const it = await legacy(t, '45');
  it.sapi.answers.push(409);
  const done = await job(it.world, await convert(it), 'the end', ended);
  t.equal(done.execution, 'failed');
  t.equal(done.step, 'retire');
  t.match(done.log.at(-1)?.message ?? '', /SAPI refuses/);
  await untouched(t, it);
});

test('SAPI is away for a moment: it is asked again', async (t) => {
  const it = await legacy(t, '46');
  it.sapi.answers.push(503, 404);
  const done = await job(it.world, await convert(it), 'the end', ended);
  t.equal(done.execution, 'succeeded', 'gone already is gone');
  t.ok(done.log.some(({ message }) => message.startsWith('SAPI does not')));
});

test('napi-nat is restarted in the middle: the job goes on', async (t) => {
  const directory = temporaryDirectory(t);
  const it = await legacy(t, '47', { directory });
  const { zone, fabric } = it;
  zone.lag(true);
  const uuid = await convert(it);
  await job(it.world, uuid, 'sync', waits);
  await it.world.stop();
  const options = { nat_reform: false, sapi: it.sapi.url, directory };
  const world = await startWorld(t, options);
  const held = await world.must<Job>('GET', `/jobs/${uuid}`);
  t.equal(held.execution, 'running');
  // The zone's own heartbeats go where napi-nat was.
  let progress = 1000;
  const done = await until(
    'the end',
    async () => {
      const plane = await world.must('GET', '/dataplane');
      const { position, digest } = plane;
      progress += 1;
      const path = `/nat_zones/${zone.uuid}/heartbeat`;
      await world.must('POST', path, { progress, position, digest });
      return world.must<Job>('GET', `/jobs/${uuid}`);
    },
    ({ step }) => step === 'settle' || step === 'retire',
  );
  t.ok(done.public_ip, 'it did not begin again');
  const row = await routerOf(world, fabric.vnet_id);
  t.equal(row.cn_uuid, zone.uuid, 'the zone is the router');
});

test('a network that nobody asks for stays as it is', async (t) => {
  const it = await legacy(t, '48');
  const path = `/networks/${it.fabric.uuid}`;
  await it.world.must('PUT', path, { description: 'still legacy' });
  t.deepEqual(await it.world.must('GET', '/jobs'), []);
  await untouched(t, it);
});
