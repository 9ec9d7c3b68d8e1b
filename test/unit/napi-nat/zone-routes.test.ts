// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nat_zones` and `/nat_publics` take what they should refuse. */

import { randomUUID } from 'node:crypto';
import test from 'tape';
import { ServiceError } from '#lib/errors.js';
import { startHttp } from '#test/http-server.js';
import { natStore, putFabric } from '#test/nat-store.js';
import { findIp } from '../../../services/napi-nat/ip/read.js';
import { ZoneMonitor } from '../../../services/napi-nat/nat-reform/monitor.js';
import { natPublicRoutes } from '../../../services/napi-nat/routes/nat-publics.js';
import { natZoneRoutes } from '../../../services/napi-nat/routes/nat-zones.js';

const PUBLIC = '00000000-0000-4000-8000-0000000000b0';
const GOOD = { ul3_ip: '192.168.12.6', external_ip: '3.0.0.3' };

async function serve(t: test.Test) {
  const stored = await natStore(t);
  const nat_reform = {
    ...stored.config.nat_reform,
    probe: { vnet: 16777215, interval_ms: 100, misses: 3 },
    heartbeat: { interval_ms: 200, misses: 5 },
  };
  const ctx = { ...stored, config: { ...stored.config, nat_reform } };
  const { client } = await startHttp(t, [
    ...natZoneRoutes(ctx, new ZoneMonitor(ctx, null)),
    ...natPublicRoutes(ctx),
  ]);
  return { ctx, client };
}

/** `status code fields` of a refusal, or the reply's body as JSON. */
async function said(job: Promise<{ body: unknown }>): Promise<string> {
  try {
    return JSON.stringify((await job).body);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const { code, errors } = error.body;
    const fields = errors?.map((each) => ('field' in each ? each.field : ''));
    return [error.status, code, fields?.join() ?? ''].join(' ').trim();
  }
}

test('a zone that makes no sense is refused, field by field', async (t) => {
  const { client } = await serve(t);
  const post = (body: object) => said(client.post('/nat_zones', { body }));
  t.equal(await post({}), '422 InvalidParameters external_ip,ul3_ip');
  t.equal(
    await post({ ...GOOD, ul3_ip: '1.2.3', ul3_port: 0, weight: -1 }),
    '422 InvalidParameters ul3_ip,ul3_port,weight',
  );
  t.equal(
    await post({ ...GOOD, uuid: 'X', standby: 'maybe' }),
    '422 InvalidParameters standby,uuid',
  );
  const uuid = randomUUID();
  t.match(await post({ ...GOOD, uuid }), /"state":"new"/);
  t.equal(await post({ ...GOOD, uuid }), '422 InvalidParameters uuid');
  t.equal(
    await post({ ...GOOD, ul3_ip: '192.168.12.9' }),
    '422 InvalidParameters external_ip',
    "another zone's external IP",
  );
  const path = `/nat_zones/${uuid}`;
  const server_uuid = randomUUID();
  await client.put(path, { body: { server_uuid } });
  const other = { ul3_ip: '192.168.12.9', external_ip: '3.0.0.9' };
  t.equal(
    await post({ ...other, server_uuid }),
    '422 InvalidParameters server_uuid',
    'one zone on a compute node',
  );
  t.match(await post(other), /"state":"new"/, 'elsewhere, or not said where');
  t.equal(
    await said(client.put(path, { body: { action: 'explode' } })),
    '422 InvalidParameters action',
  );
  const stranger = `/nat_zones/${randomUUID()}`;
  t.equal(await said(client.get(stranger)), '404 ResourceNotFound');
  t.equal(await said(client.del(stranger)), '404 ResourceNotFound');
  t.equal(
    await said(client.post(`${path}/heartbeat`, { body: { progress: -1 } })),
    '422 InvalidParameters digest,position,progress',
  );
});

test("a zone's external IP is given to nobody", async (t) => {
  const { ctx, client } = await serve(t);
  const { body } = await client.post<{ uuid: string }>('/nat_zones', {
    body: GOOD,
  });
  const given: string[] = [];
  for (let n = 1; n <= 3; n++) {
    const fabric = await putFabric(ctx, n, randomUUID());
    given.push(fabric.nat_reform_public as string);
  }
  t.deepEqual(given, ['3.0.0.2', '3.0.0.4', '3.0.0.5']);
  t.equal(
    await said(client.del(`/nat_zones/${body.uuid}`)),
    '409 InUse',
    'the last zone has fabrics',
  );
  const held = await findIp(ctx, PUBLIC, GOOD.external_ip);
  t.equal(held?.value.reserved, true);
});

test('public IPs are listed with what sits on them', async (t) => {
  const { ctx, client } = await serve(t);
  await client.post('/nat_zones', { body: GOOD });
  const owner = randomUUID();
  await putFabric(ctx, 1, owner);
  await putFabric(ctx, 2, owner);
  const { body } = await client.get<Record<string, unknown>[]>('/nat_publics');
  t.equal(body.length, 1);
  t.equal(body[0]?.['ip'], '3.0.0.2');
  t.equal(body[0]?.['fabrics'], 2);
  t.equal(body[0]?.['owner_uuid'], owner);
  t.equal(
    await said(client.get('/nat_publics/3.0.0.99')),
    '404 ResourceNotFound',
  );
  t.equal(
    await said(client.get('/nat_publics/what')),
    '422 InvalidParameters ip',
  );
});
