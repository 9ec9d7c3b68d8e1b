// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A small world in a real napi-nat process for the tests of bad input: one of
 * everything, requests as raw as a hostile client would send them, and a
 * picture of all state that bad input must leave as it was.
 */

import { Agent, request as httpRequest } from 'node:http';
import type { Test } from 'tape';
import { OWNERS } from '#test/addresses.js';
import { napiConfig } from '#test/napi-config.js';
import { type ServiceProcess, startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

/** A heartbeat's limit that no test waits for: the zone stays up. */
const NEVER_MS = 3_600_000;
export const ZONE = '7a6f6e65-0000-4000-8000-000000000001';
export const INSTANCE = '1a57a9ce-0000-4000-8000-000000000001';
export const NODE = '564d0a00-0000-4000-8000-00000000000a';
export const OWNER = OWNERS.alice;

export interface Raw {
  status: number;
  text: string;
  /** Undefined where the text is no JSON. */
  json: Record<string, unknown> | undefined;
}

export interface BadInputWorld {
  service: ServiceProcess;
  /** Sends a path and a body exactly as they are. */
  send(
    method: string,
    path: string,
    body?: string | Buffer | undefined,
    headers?: Record<string, string>,
  ): Promise<Raw>;
  /** Every object and the journal's position, as text. */
  picture(): Promise<string>;
  network: string;
  mac: string;
  aip: string;
  privateIp: string;
  pool: string;
  aggregation: string;
  serverMac: string;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sender(service: ServiceProcess, agent: Agent): BadInputWorld['send'] {
  const { hostname, port } = new URL(service.url);
  return (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const sent = httpRequest({
        agent,
        hostname,
        port,
        method,
        path,
        headers: {
          ...(body === undefined
            ? {}
            : {
                'content-type': 'application/json',
                'content-length': Buffer.byteLength(body),
              }),
          ...headers,
        },
      });
      sent.once('error', reject);
      sent.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const status = response.statusCode ?? 0;
          resolve({ status, text, json: parsed(text) });
        });
      });
      sent.end(body);
    });
}

/** One of everything, by its id. */
export type Fixtures = Omit<BadInputWorld, 'service' | 'send' | 'picture'>;

type Must = (
  method: string,
  path: string,
  body?: object,
) => Promise<Record<string, unknown>>;

/** Makes one of everything. @param must a request that has to succeed */
export async function fill(must: Must): Promise<Fixtures> {
  await must('POST', '/nat_zones', {
    uuid: ZONE,
    ul3_ip: '127.0.0.21',
    external_ip: '3.3.3.2',
  });
  const beat = { progress: 1, position: 0, digest: 'x' };
  await must('POST', `/nat_zones/${ZONE}/heartbeat`, beat);
  const vlans = `/fabrics/${OWNER}/vlans`;
  await must('POST', vlans, { vlan_id: 2, name: 'two' });
  const network = await must('POST', `${vlans}/2/networks`, {
    name: 'alice1',
    subnet: '10.4.4.0/22',
    provision_start_ip: '10.4.4.2',
    provision_end_ip: '10.4.7.250',
    gateway: '10.4.4.1',
    internet_nat: true,
  });
  const nic = await must('POST', '/nics', {
    owner_uuid: OWNER,
    belongs_to_uuid: INSTANCE,
    belongs_to_type: 'zone',
    network_uuid: network['uuid'],
    cn_uuid: NODE,
  });
  const aip = await must('POST', '/aips', {
    owner_uuid: OWNER,
    instance: INSTANCE,
    description: 'the one',
  });

  const pool = await must('POST', '/network_pools', {
    name: 'one',
    networks: [network['uuid']],
  });
  const port = await must('POST', '/nics', {
    owner_uuid: OWNER,
    belongs_to_uuid: NODE,
    belongs_to_type: 'server',
  });
  const aggregation = await must('POST', '/aggregations', {
    name: 'aggr0',
    macs: [port['mac']],
  });
  return {
    network: network['uuid'] as string,
    mac: nic['mac'] as string,
    privateIp: nic['ip'] as string,
    aip: aip['uuid'] as string,
    pool: pool['uuid'] as string,
    aggregation: aggregation['id'] as string,
    serverMac: port['mac'] as string,
  };
}

/** Starts napi-nat and fills it. */
export async function startBadInputWorld(t: Test): Promise<BadInputWorld> {
  const directory = temporaryDirectory(t);
  const config = napiConfig(directory);
  config.nat_reform = {
    ...config.nat_reform,
    probe: { vnet: 16777215, interval_ms: NEVER_MS, misses: 3 },
    heartbeat: { interval_ms: NEVER_MS, misses: 5 },
  };
  const service = await startService(t, 'napi-nat', config, directory);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  t.teardown(() => agent.destroy());
  const send = sender(service, agent);

  const must: Must = async (method, path, body) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await send(method, path, text);
    if (answer.status < 300) return answer.json as Record<string, unknown>;
    throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  };

  const made = await fill(must);
  const vlans = `/fabrics/${OWNER}/vlans`;

  async function picture(): Promise<string> {
    const networks = JSON.parse((await send('GET', '/networks')).text);
    const paths = [
      '/networks',
      ...networks.map(({ uuid }: { uuid: string }) => `/networks/${uuid}/ips`),
      '/nics',
      '/nic_tags',
      '/network_pools',
      '/aggregations',
      vlans,
      `${vlans}/2/networks`,
      '/aips',
      `/aips/${made.aip}/audit`,
      `/aip_accounts/${OWNER}`,
      '/nat_zones',
      '/nat_publics',
      '/ul3_mappings',
      '/dataplane',
    ];
    const parts: string[] = [];
    for (const path of paths) {
      const { status, text } = await send('GET', path);
      // How long ago a zone was heard of is no state.
      const still = text.replace(/"last_heartbeat_ms":\d+/g, '""');
      parts.push(`${path} ${status} ${still}`);
    }
    return parts.join('\n');
  }

  return {
    service,
    send,
    picture,
    ...made,
  };
}
