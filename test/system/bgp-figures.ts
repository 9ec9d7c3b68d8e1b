// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The figures of docs/bgp.md: packets of 1000 a second from the Internet to an
 * AIP that are lost when a zone is evacuated, when BIRD dies, and when a zone
 * loses its power. Times and probes are the defaults, as in production. A line
 * of JSON for each event; it needs root and a quiet machine.
 *
 *   bgp-figures.js [ROUNDS [GRACEFUL-RESTART-SECONDS]]
 */

import test from 'tape';
import { until } from '#test/until.js';
import { BgpCloud } from './bgp-cloud.js';
import { streamWhile, ZONES, type ZoneName } from './bgp-lab.js';

const [rounds = '3', graceful = '30'] = process.argv.slice(2);
const BGP = { graceful_restart_seconds: Number(graceful) };

async function say(
  cloud: BgpCloud,
  event: string,
  ip: string,
  happens: () => Promise<void>,
): Promise<void> {
  const { sent, lost } = await streamWhile(cloud, ip, happens);
  console.log(JSON.stringify({ event, graceful, lost, sent }));
}

async function evacuate(
  cloud: BgpCloud,
  ip: string,
  from: ZoneName,
  to: ZoneName,
): Promise<void> {
  const act = (action: string) =>
    cloud.call('PUT', `/nat_zones/${ZONES[from].uuid}`, { action });
  await say(cloud, `${from} evacuated`, ip, async () => {
    await act('evacuate');
    await cloud.waysAre(ip, to);
    await until(`${from} is silent`, () => cloud.pathsOf(ip) === 1);
  });
  await act('undrain');
  await cloud.zoneIs(from, 'up');
}

async function birdDies(cloud: BgpCloud, ip: string): Promise<void> {
  await say(cloud, 'BIRD killed', ip, async () => {
    cloud.killBird('z1');
    await until('it is back', () => cloud.adm('z1', 'bgp').status === 0);
    await cloud.waysAre(ip, 'z1');
  });
}

async function powerFails(cloud: BgpCloud, ip: string): Promise<void> {
  await say(cloud, 'zone killed', ip, async () => {
    await cloud.powerOff('z1');
    await cloud.waysAre(ip, 'z2');
  });
  cloud.powerOn('z1');
  await cloud.startDurable('z1', BGP);
  await cloud.zoneIs('z1', 'up');
  await until('it announces', () => cloud.adm('z1', 'bgp').status === 0);
}

test('figures', async (t) => {
  const cloud = new BgpCloud(t);
  await cloud.raise({ interval_ms: 100, misses: 3 }, BGP);
  const { ip } = await cloud.createAip();
  await cloud.waysAre(ip, 'z1');
  await until('it is reached', () => cloud.reaches(ip));
  for (let round = 0; round < Number(rounds); round++) {
    await evacuate(cloud, ip, 'z1', 'z2');
    await evacuate(cloud, ip, 'z2', 'z1');
    await birdDies(cloud, ip);
    await powerFails(cloud, ip);
    await evacuate(cloud, ip, 'z2', 'z1');
  }
});
