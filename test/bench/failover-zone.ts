// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The loss of a zone in parts, in the demo's deployment: SIGKILL of the zone
 * that serves an AIP, the verdict, the committed decision, its UL3 on the
 * survivor, the first packet through.
 */

import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Deployment,
  deploy,
  startZone,
  zonesInSync,
} from '../../demo/deployment.js';
import { udpProbe } from '../../demo/probes.js';
import { raise } from '../../demo/raise.js';
import { INSTANCES, ZONES } from '../../demo/topology.js';
import { type Row, row } from './report.js';

const KILLS = 7;

type Zone = (typeof ZONES)[number];

/** Milliseconds, each from the end of the part before. */
interface Parts {
  detect: number;
  decide: number;
  ul3: number;
  packet: number;
  total: number;
}

interface ZoneView {
  state: string;
  status: { last_failover?: { at: string; decide_ms: number } } | null;
}

/** When the machine was given the address. */
function addressAdded(d: Deployment, machine: string, ip: string) {
  const watch = d.lab.start(machine, `monitor-${machine}`, [
    ...['ip', '-o', 'monitor', 'address'],
  ]);
  const seen = new Promise<number>((resolve) => {
    let said = '';
    watch.child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      const added = said
        .split('\n')
        .some((line) => line.includes(`${ip}/`) && !line.startsWith('Deleted'));
      if (added) resolve(Date.now());
    });
  });
  return { seen, end: () => d.lab.stop(watch, 'SIGTERM') };
}

async function lostZone(d: Deployment, zone: Zone): Promise<ZoneView> {
  for (;;) {
    const view = await d.napi.must<ZoneView>('GET', `/nat_zones/${zone.uuid}`);
    if (view.state === 'down' && view.status?.last_failover) return view;
    await sleep(20);
  }
}

async function lose(d: Deployment, ip: string): Promise<Parts> {
  const served = await d.napi.must<{ zone_uuid: string }>(
    'GET',
    `/nat_publics/${ip}`,
  );
  const victim = ZONES.find(({ uuid }) => uuid === served.zone_uuid) as Zone;
  const heir = ZONES.find(({ uuid }) => uuid !== served.zone_uuid) as Zone;
  const address = addressAdded(d, heir.name, victim.ul3);
  const probe = udpProbe(d, ip, 'all', 5000);
  await sleep(1000);
  const killedAt = Date.now();
  d.services.get(victim.name)?.child.kill('SIGKILL');
  const view = await lostZone(d, victim);
  const { at = '', decide_ms = 0 } = view.status?.last_failover ?? {};
  const committed = Date.parse(at);
  const switched = await address.seen;
  const { gaps } = await probe.result;
  await address.end();
  const gap = gaps.find(({ to }) => to > killedAt);
  if (gap === undefined) throw new Error('traffic did not resume');
  return {
    detect: committed - decide_ms - killedAt,
    decide: decide_ms,
    ul3: switched - committed,
    packet: gap.to - switched,
    total: gap.to - killedAt,
  };
}

async function losses(d: Deployment): Promise<Row[]> {
  const alice = d.customers.get('alice')?.cloudapi;
  if (alice === undefined) throw new Error('no customer');
  const aip = await alice.must<{ ip: string }>('POST', '/my/aips', {
    instance: INSTANCES[0]?.uuid,
  });
  const all: Parts[] = [];
  for (let n = 0; n < KILLS; n += 1) {
    const parts = await lose(d, aip.ip);
    all.push(parts);
    console.error(`failover: ${JSON.stringify(parts)}`);
    for (const zone of ZONES) {
      if (d.services.get(zone.name)?.child.signalCode !== null) {
        startZone(d, zone);
      }
    }
    await zonesInSync(d);
  }
  return (['detect', 'decide', 'ul3', 'packet', 'total'] as const).map((part) =>
    row(
      `failover.zone.${part}`,
      'ms',
      all.map((parts) => parts[part]),
    ),
  );
}

const lab = await raise((line) => console.error(`bench: ${line}`));
try {
  const deployment = await deploy(lab, (line) => console.error(line));
  const rows = await losses(deployment);
  writeFileSync('build/bench-failover.json', JSON.stringify(rows));
} finally {
  await lab.destroy();
}
