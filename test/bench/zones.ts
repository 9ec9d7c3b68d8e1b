// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The control plane on real packets, in the demo's deployment: how long from
 * the request that creates an AIP to its first translated packet, and from a
 * zone's death to resumed AIP traffic.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Deployment,
  startZone,
  zonesInSync,
} from '../../demo/deployment.js';
import { udpProbe } from '../../demo/probes.js';
import { INSTANCES, ZONES } from '../../demo/topology.js';
import { type Row, row } from './report.js';

const AIPS = 200;
const KILLS = 5;

interface AipView {
  id: string;
  ip: string;
}

/** Runs both measurements on a deployment that is up. */
export async function benchZones(d: Deployment): Promise<Row[]> {
  const creations: number[] = [];
  for (let i = 0; i < AIPS; i++) creations.push(await createToPacket(d));
  const resumes: number[] = [];
  for (let i = 0; i < KILLS; i++) resumes.push(await killToResume(d));
  return [
    row('aip.create_to_packet.p50', 'ms', creations, 0.5),
    row('aip.create_to_packet.p99', 'ms', creations, 0.99),
    row('zone.kill_to_resume', 'ms', resumes, 0.5),
  ];
}

function alice(d: Deployment) {
  return d.customers.get('alice')?.cloudapi as NonNullable<
    ReturnType<Deployment['customers']['get']>
  >['cloudapi'];
}

const create = (d: Deployment) =>
  alice(d).must<AipView>('POST', '/my/aips', { instance: INSTANCES[0]?.uuid });

const remove = (d: Deployment, aip: AipView) =>
  alice(d).must('DELETE', `/my/aips/${aip.id}?really_delete=true`);

async function createToPacket(d: Deployment): Promise<number> {
  const probe = udpProbe(d, '-', 'first', 10_000);
  await sleep(120);
  const start = Date.now();
  const aip = await create(d);
  probe.write(aip.ip);
  const { first_at } = await probe.result;
  await remove(d, aip);
  if (first_at === null) throw new Error(`no packet through ${aip.ip}`);
  return first_at - start;
}

async function killToResume(d: Deployment): Promise<number> {
  const aip = await create(d);
  const probe = udpProbe(d, aip.ip, 'all', 4000);
  await sleep(1000);
  const served = await d.napi.must<{ zone_uuid: string }>(
    'GET',
    `/nat_publics/${aip.ip}`,
  );
  const victim = ZONES.find((zone) => zone.uuid === served.zone_uuid);
  if (victim === undefined) throw new Error(`no zone serves ${aip.ip}`);
  const killedAt = Date.now();
  d.services.get(victim.name)?.child.kill('SIGKILL');
  const { gaps } = await probe.result;
  const gap = gaps.find((g) => g.to > killedAt);
  startZone(d, victim);
  await zonesInSync(d);
  await remove(d, aip);
  if (gap === undefined) throw new Error('traffic did not resume');
  return gap.to - killedAt;
}
