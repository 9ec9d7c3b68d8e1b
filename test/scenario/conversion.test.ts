// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A legacy fabric is converted and loses its router on the way: a step comes
 * too early, a failure leaves neither the old NAT zone nor the new one, a
 * restart forgets the job, or a network that nobody asked for is touched.
 */

import test from 'tape';
import { ADMIN, PUBLIC_NETWORK, startWorld, uuidOf } from '#test/nat-world.js';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';
import {
  CN,
  convert,
  ended,
  type Job,
  job,
  legacy,
  natZone,
  OLD_CN,
  OLD_ZONE,
  OWNER,
  routerOf,
  untouched,
  VM,
  waits,
} from './conversion-world.js';

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
