// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The loss of a zone step by step, in the demo's deployment: SIGKILL of the
 * zone that serves an AIP, then when there was the verdict, the committed
 * decision, its UL3 on the survivor, the first packet through. Each step is
 * timed from the kill, by the one clock that all machines of the demo have:
 * the last two are not always in this order, as compute nodes that have heard
 * of the decision send to the survivor's own UL3.
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

const STEPS = ['detected', 'decided', 'switched', 'packet'] as const;

/** Milliseconds from the kill to each step. */
type Times = Record<(typeof STEPS)[number], number>;

interface ZoneView {
  state: string;
  status: { last_failover?: { at: string; decide_ms: number } } | null;
}

/** When the machine was given the address, as `ip` says it. */
function addressAdded(d: Deployment, machine: string, ip: string) {
  const watch = d.lab.start(machine, `monitor-${machine}`, [
    ...['ip', '-tshort', '-o', 'monitor', 'address'],
  ]);
  const seen = new Promise<number>((resolve) => {
    let said = '';
    watch.child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      for (const line of said.split('\n')) {
        const at = /^\[(\S+)\] (?!Deleted)/.exec(line)?.[1];
        // Its time of day is the local one, as `Date` takes it.
        if (at && line.includes(`${ip}/`)) resolve(Date.parse(at));
      }
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

/** Null when the stream of packets began too late to tell. */
async function lose(d: Deployment, ip: string): Promise<Times | null> {
  const served = await d.napi.must<{ zone_uuid: string }>(
    'GET',
    `/nat_publics/${ip}`,
  );
  const victim = ZONES.find(({ uuid }) => uuid === served.zone_uuid) as Zone;
  const heir = ZONES.find(({ uuid }) => uuid !== served.zone_uuid) as Zone;
  const address = addressAdded(d, heir.name, victim.ul3);
  const probe = udpProbe(d, ip, 'all', 8000);
  await sleep(1000);
  const killedAt = Date.now();
  d.services.get(victim.name)?.child.kill('SIGKILL');
  const view = await lostZone(d, victim);
  const { at = '', decide_ms = 0 } = view.status?.last_failover ?? {};
  const committed = Date.parse(at);
  const switched = await address.seen;
  const { gaps, first_at } = await probe.result;
  await address.end();
  if (first_at === null || first_at > killedAt) return null;
  const gap = gaps.find(({ to }) => to > killedAt);
  if (gap === undefined) throw new Error('traffic did not resume');
  return {
    detected: committed - decide_ms - killedAt,
    decided: committed - killedAt,
    switched: switched - killedAt,
    packet: gap.to - killedAt,
  };
}

async function losses(d: Deployment): Promise<Row[]> {
  const alice = d.customers.get('alice')?.cloudapi;
  if (alice === undefined) throw new Error('no customer');
  const aip = await alice.must<{ ip: string }>('POST', '/my/aips', {
    instance: INSTANCES[0]?.uuid,
  });
  const all: Times[] = [];
  while (all.length < KILLS) {
    const times = await lose(d, aip.ip);
    if (times !== null) all.push(times);
    console.error(`failover: ${JSON.stringify(times)}`);
    for (const zone of ZONES) {
      if (d.services.get(zone.name)?.child.signalCode !== null) {
        startZone(d, zone);
      }
    }
    await zonesInSync(d);
  }
  return STEPS.map((step) =>
    row(
      `failover.zone.${step}`,
      'ms',
      all.map((times) => times[step]),
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
