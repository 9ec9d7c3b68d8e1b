// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The stock NAPI client (npm sdc-clients), as CloudAPI, VMAPI and sdcadm use
 * it, against a napi-nat process: every method, and what errors look like to
 * it. What would break: a path, status, header or body that it cannot take.
 */

import { createRequire } from 'node:module';
import test, { type Test } from 'tape';
import { ADMIN_UUID, napiConfig, PUBLIC_NETWORK } from '#test/napi-config.js';
import { uuidOf } from '#test/nat-world.js';
import { startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

type Body = Record<string, unknown>;
interface Answer {
  body: Body & Body[];
  etag: string | undefined;
  status: number;
}
interface ClientError extends Error {
  statusCode: number;
  restCode: string;
  body: Body;
}
type Client = (method: string, ...args: unknown[]) => Promise<Answer>;

const require = createRequire(import.meta.url);
const OWNER = uuidOf(1, 1);
const INSTANCE = uuidOf(2, 1);
const SERVER = uuidOf(9, 1);

/** The client against a process of its own. */
async function start(t: Test, more: object = {}): Promise<Client> {
  const directory = temporaryDirectory(t);
  const config = napiConfig(directory) as { nat_reform: object };
  const service = await startService(
    t,
    'napi-nat',
    {
      ...config,
      nat_reform: { ...config.nat_reform, default: false },
      auto_alloc_subnets: true,
      ...more,
    },
    directory,
  );
  const { NAPI } = require('sdc-clients');
  const log = require('bunyan').createLogger({ name: 'client', streams: [] });
  const client = new NAPI({ url: service.url, agent: false, log });
  t.teardown(() => client.close());
  return (method, ...args) =>
    new Promise((resolve, reject) => {
      client[method](
        ...args,
        (
          error: ClientError | null,
          body: Answer['body'],
          _request: unknown,
          response: { statusCode: number; headers: Record<string, string> },
        ) => {
          if (error) return reject(error);
          const { statusCode: status, headers } = response;
          resolve({ body, status, etag: headers['etag'] });
        },
      );
    });
}

async function failure(answer: Promise<Answer>): Promise<ClientError> {
  try {
    await answer;
  } catch (error) {
    return error as ClientError;
  }
  throw new Error('it should have failed');
}

const NETWORK = {
  name: 'lab',
  nic_tag: 'external',
  vlan_id: 7,
  subnet: '10.2.0.0/24',
  provision_start_ip: '10.2.0.10',
  provision_end_ip: '10.2.0.250',
};
const NIC = {
  belongs_to_uuid: INSTANCE,
  belongs_to_type: 'zone',
  owner_uuid: OWNER,
  cn_uuid: SERVER,
};

test('ping says what is on', async (t) => {
  const napi = await start(t);
  const { body } = await napi('ping');
  t.deepEqual(body as Body, {
    config: { fabrics_enabled: true, subnet_alloc_enabled: true },
    healthy: true,
    services: { moray: 'online' },
    status: 'OK',
  });
});

test('nic tags', async (t) => {
  const napi = await start(t);
  const made = await napi('createNicTag', 'lab', { mtu: 9000 });
  t.equal(made.status, 200);
  t.equal(made.body['mtu'], 9000);
  const listed = await napi('listNicTags', {});
  t.ok(listed.body.some(({ name }) => name === 'lab'));
  await napi('updateNicTag', 'lab', { name: 'dev' });
  t.equal((await napi('getNicTag', 'dev')).body['uuid'], made.body['uuid']);
  t.equal((await napi('deleteNicTag', 'dev', {})).status, 204);
  const gone = await failure(napi('getNicTag', 'dev'));
  t.deepEqual([gone.statusCode, gone.restCode], [404, 'ResourceNotFound']);
});

test('networks and their addresses', async (t) => {
  const napi = await start(t);
  const made = await napi('createNetwork', NETWORK);
  const uuid = made.body['uuid'] as string;
  const got = await napi('getNetwork', uuid, {});
  t.deepEqual(got.body, made.body);
  t.equal(got.etag, made.etag, 'an etag, without quotes');
  const listed = await napi('listNetworks', { name: 'lab' });
  t.deepEqual(listed.body, [made.body]);
  const other = { headers: { 'if-match': '0' } };
  const late = await failure(napi('updateNetwork', uuid, { mtu: 1400 }, other));
  t.deepEqual([late.statusCode, late.restCode], [412, 'PreconditionFailed']);
  const put = await napi('updateNetwork', uuid, { mtu: 1400 });
  t.equal(put.body['mtu'], 1400);
  const ip = await napi('updateIP', uuid, '10.2.0.20', { reserved: true });
  t.equal(ip.body['reserved'], true);
  t.deepEqual((await napi('getIP', uuid, '10.2.0.20', {})).body, ip.body);
  const ips = await napi('listIPs', uuid, {});
  t.equal(ips.body.length, 4, 'with placeholders and broadcast');
  const found = await napi('searchIPs', '10.2.0.20', {});
  t.deepEqual(found.body, [ip.body]);
  t.equal((await napi('deleteNetwork', uuid, {})).status, 204);
  const gone = await failure(napi('getNetwork', uuid, {}));
  t.deepEqual(gone.body, {
    code: 'ResourceNotFound',
    message: 'network not found',
  });
});

test('NICs are created, provisioned, listed, changed and deleted', async (t) => {
  const napi = await start(t);
  const { body: network } = await napi('createNetwork', NETWORK);
  const uuid = network['uuid'] as string;
  const first = await napi('provisionNic', uuid, NIC);
  t.equal(first.body['ip'], '10.2.0.10');
  const mac = '90:b8:d0:00:00:07';
  const named = await napi('createNic', mac, {
    ...NIC,
    network_uuid: uuid,
    ip: '10.2.0.99',
    primary: true,
  });
  t.equal(named.body['mac'], mac);
  t.deepEqual((await napi('getNic', mac)).body, named.body);
  t.equal((await napi('getNics', INSTANCE, {})).body.length, 2);
  const some = await napi('listNics', { network_uuid: uuid, limit: 1 });
  t.equal(some.body.length, 1);
  const put = await napi('updateNic', mac, { state: 'running' });
  t.equal(put.body['state'], 'running');
  const stale = { headers: { 'if-match': named.etag } };
  const late = await failure(napi('deleteNic', mac, {}, stale));
  t.equal(late.statusCode, 412);
  t.equal((await napi('deleteNic', mac, {})).status, 204);
  t.equal((await failure(napi('getNic', mac))).statusCode, 404);
  const taken = await failure(
    napi('provisionNic', uuid, { ...NIC, ip: '10.2.0.10' }),
  );
  t.deepEqual(taken.body, {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors: [
      {
        field: 'ip',
        type: 'zone',
        id: INSTANCE,
        code: 'UsedBy',
        message: `IP in use by zone "${INSTANCE}"`,
      },
    ],
  });
  const users = await failure(napi('deleteNetwork', uuid, {}));
  t.deepEqual([users.statusCode, users.restCode], [422, 'InUse']);
});

test('network pools', async (t) => {
  const napi = await start(t);
  const { body: network } = await napi('createNetwork', NETWORK);
  const made = await napi('createNetworkPool', 'pool', {
    networks: [network['uuid'], PUBLIC_NETWORK],
  });
  const uuid = made.body['uuid'] as string;
  t.deepEqual((await napi('getNetworkPool', uuid)).body, made.body);
  t.deepEqual((await napi('listNetworkPools', {})).body, [made.body]);
  const nic = await napi('provisionNic', uuid, NIC);
  t.equal(nic.body['network_uuid'], (made.body['networks'] as string[])[0]);
  const put = await napi('updateNetworkPool', uuid, {
    networks: [PUBLIC_NETWORK],
  });
  t.deepEqual(put.body['networks'], [PUBLIC_NETWORK]);
  t.equal((await napi('deleteNetworkPool', uuid, {})).status, 204);
});

test('aggregations', async (t) => {
  const napi = await start(t);
  const mac = '90:b8:d0:00:00:01';
  await napi('createNic', mac, {
    belongs_to_uuid: SERVER,
    belongs_to_type: 'server',
    owner_uuid: ADMIN_UUID,
  });
  const made = await napi('createAggr', { name: 'aggr0', macs: [mac] });
  const id = `${SERVER}-aggr0`;
  t.equal(made.body['id'], id);
  t.deepEqual((await napi('getAggr', id)).body, made.body);
  t.deepEqual((await napi('listAggrs', {})).body, [made.body]);
  const put = await napi('updateAggr', id, { lacp_mode: 'passive' });
  t.equal(put.body['lacp_mode'], 'passive');
  t.equal((await napi('deleteAggr', id)).status, 204);
});

test('fabric VLANs and networks', async (t) => {
  const napi = await start(t);
  const vlan = await napi('createFabricVLAN', OWNER, { vlan_id: 2, name: 'v' });
  t.deepEqual(Object.keys(vlan.body).sort(), [
    'name',
    'owner_uuid',
    'vlan_id',
    'vnet_id',
  ]);
  t.deepEqual((await napi('listFabricVLANs', OWNER, {})).body, [vlan.body]);
  const renamed = await napi('updateFabricVLAN', OWNER, 2, { name: 'w' });
  const got = await napi('getFabricVLAN', OWNER, 2, {});
  t.deepEqual(got.body, renamed.body);
  const again = await failure(
    napi('createFabricVLAN', OWNER, { vlan_id: 2, name: 'v' }),
  );
  t.deepEqual([again.statusCode, again.restCode], [422, 'InUse']);
  const made = await napi('createFabricNetwork', OWNER, 2, {
    name: 'web',
    subnet_alloc: true,
    family: 'ipv4',
    subnet_prefix: 24,
    internet_nat: true,
  });
  t.equal(made.body['subnet'], '10.0.0.0/24');
  t.equal(made.body['owner_uuid'], OWNER);
  const uuid = made.body['uuid'] as string;
  const one = await napi('getFabricNetwork', OWNER, 2, uuid, {});
  t.deepEqual(one.body, made.body);
  const listed = await napi('listFabricNetworks', OWNER, 2, {});
  t.deepEqual(listed.body, [made.body]);
  const put = await napi('updateFabricNetwork', OWNER, 2, uuid, {
    description: 'for the web',
  });
  t.equal(put.body['description'], 'for the web');
  const inUse = await failure(napi('deleteFabricVLAN', OWNER, 2, {}));
  t.deepEqual(inUse.body['errors'], [
    {
      type: 'network',
      id: uuid,
      code: 'UsedBy',
      message: `In use by network "${uuid}"`,
    },
  ]);
  t.equal((await napi('deleteFabricNetwork', OWNER, 2, uuid, {})).status, 204);
  t.equal((await napi('deleteFabricVLAN', OWNER, 2, {})).status, 204);
});

test('a legacy NAT zone provisions its fabric gateway', async (t) => {
  const napi = await start(t);
  await napi('createFabricVLAN', OWNER, { vlan_id: 2 });
  const { body: network } = await napi('createFabricNetwork', OWNER, 2, {
    ...NETWORK,
    gateway: '10.2.0.1',
  });
  const uuid = network['uuid'] as string;
  t.equal(network['gateway_provisioned'], false);
  const { body: nic } = await napi('provisionNic', uuid, {
    ...NIC,
    owner_uuid: ADMIN_UUID,
    ip: '10.2.0.1',
    allow_ip_spoofing: true,
  });
  t.equal(nic['gateway_provisioned'], true);
  const during = await napi('getNetwork', uuid, {});
  t.equal(during.body['gateway_provisioned'], true);
  await napi('deleteNic', nic['mac'], {});
  const after = await napi('getNetwork', uuid, {});
  t.equal(after.body['gateway_provisioned'], false);
});

test('without overlays fabrics are 428', async (t) => {
  const { overlay } = napiConfig('');
  const napi = await start(t, { overlay: { ...overlay, enabled: false } });
  const refused = await failure(napi('listFabricVLANs', OWNER, {}));
  t.equal(refused.statusCode, 428);
  t.deepEqual(refused.body, {
    code: 'PreconditionRequiredError',
    message: 'overlay networking is not enabled',
  });
});
