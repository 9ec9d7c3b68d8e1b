// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The services of the example on the machines of `world.ts`: writes their
 * configuration, starts them in order, waits until each says that it is ready,
 * and fills in what an operator and the customers would have created before the
 * story begins.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, createIdentity, type Identity } from './client.js';
import { account, cloudapiConfig, napiConfig, zoneConfig } from './configs.js';
import type { Lab, LabProcess } from './netns.js';
import { startNodes } from './tenants.js';
import {
  ADMIN_UUID,
  CUSTOMERS,
  HEAD,
  INTERNET,
  NETWORK_UUIDS,
  NODES,
  ZONES,
} from './topology.js';

/** Everything that the steps of the story need at hand. */
export interface Deployment {
  lab: Lab;
  napi: Client;
  customers: Map<string, { identity: Identity; cloudapi: Client }>;
  services: Map<string, LabProcess>;
  /** Filled by `startNodes`: vnet id of each customer. */
  vnets: Map<string, number>;
}

const dist = (path: string) => new URL(`../${path}`, import.meta.url).pathname;

/** Starts a service with a JSON configuration written beside its log. */
export function startService(
  lab: Lab,
  machine: string,
  name: string,
  program: string,
  config: object,
): LabProcess {
  const file = join(lab.directory, `${name}.json`);
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  return lab.start(machine, name, [
    process.execPath,
    dist(`services/${program}/main.js`),
    program === 'vxlnatd' ? '-c' : '-f',
    file,
  ]);
}

/** Polls until `probe` gives a value; the last error says what was missing. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null>,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const value = await probe();
      if (value !== null) return value;
    } catch (error) {
      last = `: ${(error as Error).message}`;
    }
    if (Date.now() > deadline) throw new Error(`waited for ${what}${last}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts napi-nat on the head machine and waits for its ping. */
export async function startNapi(deployment: Deployment): Promise<void> {
  const { lab, napi } = deployment;
  deployment.services.set(
    'napi-nat',
    startService(lab, HEAD.name, 'napi-nat', 'napi-nat', napiConfig(lab)),
  );
  await until('napi-nat to answer /ping', async () => {
    const answer = await napi.call('GET', '/ping');
    return answer.body['status'] === 'OK' ? true : null;
  });
}

/** Starts one zone's daemon. */
export function startZone(
  deployment: Deployment,
  zone: (typeof ZONES)[number],
): void {
  deployment.services.set(
    zone.name,
    startService(
      deployment.lab,
      zone.name,
      zone.name,
      'vxlnatd',
      zoneConfig(deployment.lab, zone),
    ),
  );
}

export interface ZoneView {
  uuid: string;
  state: string;
  status: { digest: string; in_sync: boolean; position: number };
  [field: string]: unknown;
}

/** Waits until both zones serve with exactly the rules that there are now. */
export async function zonesInSync(deployment: Deployment): Promise<ZoneView[]> {
  const { napi } = deployment;
  return until('the zones to be in sync', async () => {
    const { digest } = await napi.must<{ digest: string }>('GET', '/dataplane');
    const zones = await napi.must<ZoneView[]>('GET', '/nat_zones');
    const ready = zones.every(
      (zone) => zone.state === 'up' && zone.status?.digest === digest,
    );
    return ready && zones.length === ZONES.length ? zones : null;
  });
}

/** Starts everything; afterwards the first packet can flow. */
export async function deploy(
  lab: Lab,
  tell: (line: string) => void,
): Promise<Deployment> {
  const deployment = newDeployment(lab);
  try {
    await deployAll(deployment, tell);
  } catch (error) {
    const dead = lab.dead().map(({ name, log }) => `${name} ended, see ${log}`);
    throw new Error([(error as Error).message, ...dead].join('; '));
  }
  return deployment;
}

/** By which way a zone's packets go, and why not by a better one. */
async function pathOf(zone: (typeof ZONES)[number]): Promise<string> {
  const admin = new Client(`http://${zone.admin}:2960`);
  // Without any rule a zone is in sync before it has followed anything.
  const { path, path_why } = await until(`${zone.name} to be ready`, () =>
    admin.must<{ path: string; path_why: string | null }>('GET', '/health'),
  );
  const why = path_why === null ? '' : ` (${path_why})`;
  return `${zone.name} forwards by ${path}${why}`;
}

async function deployAll(
  deployment: Deployment,
  tell: (line: string) => void,
): Promise<void> {
  const { lab } = deployment;
  lab.start('internet', 'internet', [
    process.execPath,
    dist('demo/hosts/internet.js'),
    INTERNET.ip,
    String(INTERNET.http_port),
    String(INTERNET.udp_port),
  ]);
  await startNapi(deployment);
  tell('napi-nat is up: the source of truth, with an embedded store');
  for (const zone of ZONES) {
    await deployment.napi.must('POST', '/nat_zones', {
      uuid: zone.uuid,
      ul3_ip: zone.ul3,
      external_ip: zone.external,
      server_uuid: zone.server_uuid,
    });
    startZone(deployment, zone);
  }
  for (const node of NODES) await addNodeUnderlay(deployment, node);
  await startCloudapi(deployment);
  await zonesInSync(deployment);
  tell('zone1 and zone2 are up: two identical NAT Reform zones');
  for (const zone of ZONES) tell(await pathOf(zone));
  await startNodes(deployment);
  tell('three compute nodes run svp-agent, six instances are plugged in');
}

function newDeployment(lab: Lab): Deployment {
  const cloudapi = `http://${HEAD.admin}:${HEAD.cloudapi_port}`;
  return {
    lab,
    napi: new Client(`http://${HEAD.admin}:${HEAD.napi_port}`),
    services: new Map(),
    vnets: new Map(),
    customers: new Map(
      CUSTOMERS.map(({ login, uuid }) => {
        const identity = createIdentity(login, uuid);
        return [login, { identity, cloudapi: new Client(cloudapi, identity) }];
      }),
    ),
  };
}

/** A compute node's underlay NIC: how portolan learns its UL3. */
async function addNodeUnderlay(
  deployment: Deployment,
  node: (typeof NODES)[number],
): Promise<void> {
  await deployment.napi.must(
    'POST',
    `/networks/${NETWORK_UUIDS.underlay}/nics`,
    {
      belongs_to_type: 'server',
      belongs_to_uuid: node.uuid,
      owner_uuid: ADMIN_UUID,
      ip: node.ul3,
      underlay: true,
    },
  );
}

async function startCloudapi(deployment: Deployment): Promise<void> {
  const { lab } = deployment;
  mkdirSync(join(lab.directory, 'keys'), { recursive: true });
  const identities = [...deployment.customers.values()].map(
    ({ identity }) => identity,
  );
  for (const { login, privateKey } of identities) {
    const file = join(lab.directory, 'keys', `${login}.pem`);
    writeFileSync(file, privateKey, { mode: 0o600 });
  }
  writeFileSync(
    join(lab.directory, 'accounts.json'),
    JSON.stringify(identities.map(account), null, 2),
  );
  deployment.services.set(
    'cloudapi-aip',
    startService(
      lab,
      HEAD.name,
      'cloudapi-aip',
      'cloudapi-aip',
      cloudapiConfig(lab),
    ),
  );
  const client = new Client(`http://${HEAD.admin}:${HEAD.cloudapi_port}`);
  await until('cloudapi-aip to answer /--ping', async () => {
    const answer = await client.call('GET', '/--ping');
    return answer.status === 200 ? true : null;
  });
}
