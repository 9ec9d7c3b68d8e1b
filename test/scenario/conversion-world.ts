// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A legacy fabric with its own NAT zone, and who takes part in converting it. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { silentLogger } from '#lib/service/log.js';
import { createSvpClient } from '#lib/svp/client.js';
import { createLogLoop, type LogLoop } from '#lib/svp/log-loop.js';
import {
  ADMIN,
  addFabric,
  addNic,
  addZone,
  type FakeZone,
  type NatWorld,
  startWorld,
  uuidOf,
  type WorldOptions,
  zoneState,
} from '#test/nat-world.js';
import { until } from '#test/until.js';

export const [OWNER, VM, OLD_ZONE] = [uuidOf(1, 1), uuidOf(2, 1), uuidOf(2, 9)];
export const [CN, OLD_CN] = [uuidOf(9, 1), uuidOf(9, 2)];
const GATEWAY = '10.4.4.1';

export interface Job {
  uuid: string;
  execution: string;
  step: string;
  progress: number;
  public_ip?: string;
  log: { step: string; message: string }[];
}

export interface Row {
  ip: string;
  mac: string;
  cn_uuid: string;
}

export interface Sapi {
  url: string;
  /** What it answers, one by one; 204 and then 404 when none is left. */
  answers: number[];
  deleted: string[];
  close: () => Promise<void>;
}

async function fakeSapi(t: Test): Promise<Sapi> {
  const server: Server = createServer((request, response) => {
    const url = request.url ?? '';
    const gone = sapi.deleted.includes(url) ? 404 : 204;
    const status = sapi.answers.shift() ?? gone;
    if (status === 204) sapi.deleted.push(url);
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
async function addNode(
  t: Test,
  world: NatWorld,
  n: number,
  uuid: string,
): Promise<LogLoop> {
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
  return loop;
}

export interface Legacy {
  world: NatWorld;
  zone: FakeZone;
  fabric: Awaited<ReturnType<typeof addFabric>>;
  sapi: Sapi;
  /** The shootdown loops of its compute nodes. */
  nodes: LogLoop[];
  before: Row;
}

/** A fabric with an instance and its own NAT zone; one NAT Reform zone. */
export async function legacy(
  t: Test,
  net: string,
  options: WorldOptions = {},
  start: (t: Test, options?: WorldOptions) => Promise<NatWorld> = startWorld,
): Promise<Legacy> {
  const sapi = await fakeSapi(t);
  const world = await start(t, {
    nat_reform: false,
    sapi: sapi.url,
    ...options,
  });
  const zone = await addZone(t, world, 1, { ip: `127.0.${net}.1`, port: 0 });
  await zoneState(world, zone.uuid, 'up');
  const nodes = [
    await addNode(t, world, 1, CN),
    await addNode(t, world, 2, OLD_CN),
  ];
  const fabric = await addFabric(world, OWNER, 2, '10.4.4.0/24');
  const network = fabric.uuid;
  await addNic(world, { owner: OWNER, instance: VM, network, cn: CN });
  await natZone(world, network, OLD_ZONE, OLD_CN);
  const before = await routerOf(world, fabric.vnet_id);
  return { world, zone, fabric, sapi, nodes, before };
}

/** The NIC of a legacy NAT zone, as VMAPI's workflow has it. */
export function natZone(
  world: NatWorld,
  network: string,
  vm: string,
  cn: string,
) {
  return world.must('POST', '/nics', {
    owner_uuid: ADMIN,
    belongs_to_uuid: vm,
    belongs_to_type: 'zone',
    network_uuid: network,
    cn_uuid: cn,
    ip: GATEWAY,
  });
}

export async function routerOf(world: NatWorld, vnet: number): Promise<Row> {
  const rows = await world.must<Row[]>('GET', `/ul3_mappings?vnet_id=${vnet}`);
  const [row] = rows.filter(({ ip }) => ip === GATEWAY);
  if (row === undefined) throw new Error('there is no router');
  return row;
}

/** Asks for it; the job's UUID. */
export async function convert({ world, fabric }: Legacy): Promise<string> {
  const path = `/networks/${fabric.uuid}`;
  const asked = await world.must('PUT', path, { nat_reform_public: '' });
  const job = asked['nat_reform_job'] as string;
  if (asked['nat_reform_public'] !== '' || !job) {
    throw new Error(`no job: ${JSON.stringify(asked)}`);
  }
  return job;
}

export function job(
  world: NatWorld,
  uuid: string,
  what: string,
  suits: (job: Job) => boolean,
): Promise<Job> {
  return until(what, () => world.must<Job>('GET', `/jobs/${uuid}`), suits);
}

export const ended = ({ execution }: Job) =>
  execution !== 'queued' && execution !== 'running';
export const waits = ({ log }: Job) =>
  log.some(({ message }) => message.startsWith('waits for zone'));

/** All is as if nobody had asked. */
export async function untouched(t: Test, it: Legacy): Promise<void> {
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

interface Doomed {
  at: Legacy;
  uuid: string;
  /** Kills the process that runs the job; another one goes on. */
  kill(): Promise<void>;
}

/** Converts, killing in each step; the job as it ended. */
export async function killInEachStep(t: Test, { at: it, uuid, kill }: Doomed) {
  const { world, fabric, zone, sapi, nodes, before } = it;
  const at = (step: string) => (each: Job) => each.step === step;
  const oldServes = async (when: string) => {
    t.deepEqual(await routerOf(world, fabric.vnet_id), before, when);
    t.deepEqual(sapi.deleted, [], 'and nobody deletes it');
  };
  await kill();
  await oldServes('killed as it began');
  await job(world, uuid, 'sync', waits);
  await kill();
  await oldServes('killed while zones learn the rule');
  t.equal((await world.must<Job>('GET', `/jobs/${uuid}`)).step, 'sync');
  zone.lag(false);
  await kill();
  await job(world, uuid, 'settle', at('settle'));
  await kill();
  const now = await routerOf(world, fabric.vnet_id);
  t.deepEqual([now.cn_uuid, now.mac], [zone.uuid, before.mac], 'switched');
  t.deepEqual(sapi.deleted, [], 'the old NAT zone serves who has not heard');
  for (const node of nodes) node.start();
  const asks = ({ log }: Job) =>
    log.some(({ message }) => message.startsWith('SAPI does not answer'));
  await job(world, uuid, 'retire', asks);
  sapi.answers.length = 0;
  await kill();
  const done = await job(world, uuid, 'the end', ended);
  t.equal(done.execution, 'succeeded', JSON.stringify(done.log));
  t.deepEqual(sapi.deleted, [`/instances/${OLD_ZONE}`]);
  t.deepEqual(await routerOf(world, fabric.vnet_id), now);
  return done;
}

/** Nothing of it goes on by itself: zone, nodes and SAPI all make it wait. */
export async function begin(it: Legacy): Promise<string> {
  it.sapi.answers.push(...Array(500).fill(503));
  it.zone.lag(true);
  for (const node of it.nodes) node.stop();
  return convert(it);
}
