// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat is killed with SIGKILL in every step of a conversion, and the fabric
 * loses its router or the job is forgotten. Each write of it is taken apart in
 * `test/unit/napi-nat/convert-steps.test.ts`; this is the process itself.
 */

import test from 'tape';
import { type NatProcess, startNatProcess } from '#test/nat-process.js';
import { until } from '#test/until.js';
import {
  convert,
  ended,
  type Job,
  job,
  legacy,
  OLD_ZONE,
  routerOf,
  waits,
} from './conversion-world.js';

test('kill -9 in each step: the old NAT zone serves, then the new one', async (t) => {
  const it = await legacy(t, '51', {}, startNatProcess);
  const { fabric, zone, sapi, nodes, before } = it;
  const world = it.world as NatProcess;
  const at = (step: string) => (each: Job) => each.step === step;
  const oldServes = async (when: string) => {
    t.deepEqual(await routerOf(world, fabric.vnet_id), before, when);
    t.deepEqual(sapi.deleted, [], 'and nobody deletes it');
  };
  sapi.answers.push(...Array(50).fill(503));
  zone.lag(true);
  for (const node of nodes) node.stop();
  const uuid = await convert(it);
  await world.replace();
  await oldServes('killed as it began');
  await job(world, uuid, 'sync', waits);
  await world.replace();
  await oldServes('killed while zones learn the rule');
  t.equal((await world.must<Job>('GET', `/jobs/${uuid}`)).step, 'sync');
  zone.lag(false);
  await world.replace();
  await job(world, uuid, 'settle', at('settle'));
  await world.replace();
  const now = await routerOf(world, fabric.vnet_id);
  t.deepEqual([now.cn_uuid, now.mac], [zone.uuid, before.mac], 'switched');
  t.deepEqual(sapi.deleted, [], 'the old NAT zone serves who has not heard');
  for (const node of nodes) node.start();
  const asks = ({ log }: Job) =>
    log.some(({ message }) => message.startsWith('SAPI does not answer'));
  await job(world, uuid, 'retire', asks);
  sapi.answers.length = 0;
  await world.replace();
  const done = await until(
    'the end',
    () => world.must<Job>('GET', `/jobs/${uuid}`),
    ended,
  );
  t.equal(done.execution, 'succeeded', JSON.stringify(done.log));
  t.deepEqual(sapi.deleted, [`/instances/${OLD_ZONE}`]);
  t.deepEqual(await routerOf(world, fabric.vnet_id), now);
});
