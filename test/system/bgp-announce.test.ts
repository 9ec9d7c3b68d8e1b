// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Announcement by BGP seen from outside: FRR and BIRD as upstream routers, and
 * a stream of packets from the Internet to an AIP through both (bgp-lab.ts).
 * How long things take is not judged; how many packets were lost is said.
 */

import test, { type Test } from 'tape';
import { until } from '#test/until.js';
import {
  AIP,
  type BgpLab,
  lostWhile,
  type RouterName,
  SNAT,
  startLab,
  ZONES,
} from './bgp-lab.js';

const ROUTERS: readonly RouterName[] = ['r1', 'r2'];
const skip = process.getuid?.() !== 0 && 'needs root';

function ping(t: Test, lab: BgpLab, what: string): void {
  const done = lab.run('inet', 'ping', '-c', '2', '-W', '3', AIP);
  t.equal(done.status, 0, what);
  if (done.status !== 0) t.comment(done.text);
}

test('only what a zone serves is announced', { skip }, async (t) => {
  const lab = await startLab(t);
  await lab.waysAre(SNAT, 'z1');
  await lab.waysAre(AIP, 'z1');
  ping(t, lab, 'the AIP is reached from the Internet');
  await lab.order('place', '3.3.3.9', ZONES.z2.uuid);
  await lab.order('place', '3.3.3.8', ZONES.z1.uuid);
  await lab.waysAre('3.3.3.8', 'z1');
  for (const router of ROUTERS) {
    t.equal(lab.way(router, '3.3.3.9'), '', `${router}: not another's`);
  }
  const seen = lab.vtysh('show bgp ipv4 unicast json');
  t.deepEqual(
    Object.keys(JSON.parse(seen).routes).filter((net) => net !== '0.0.0.0/0'),
    ['3.3.3.2/32', '3.3.3.5/32', '3.3.3.8/32'],
    'and nothing else',
  );
  await lab.order('place', '3.3.3.8', null);
  await lab.waysAre('3.3.3.8', '');
  await until('BFD is up', async () => {
    const { bgp } = (await lab.admin('z1', '/health')) as {
      bgp: { neighbors: { bfd: string; exported: number }[] };
    };
    return bgp.neighbors.every((n) => n.bfd === 'Up' && n.exported === 2);
  });
  const config = JSON.stringify(await lab.admin('z1', '/config'));
  t.notOk(config.includes('change-me'), 'passwords are not shown');
  await until('a way by each router', () => {
    const { text } = lab.run('z1', 'ip', 'route', 'show', 'default');
    return text.includes('via 198.51.100.1 ') && text.includes('.100.2 ');
  });
  await lab.endZone('z1', 'SIGTERM');
  await lab.waysAre(AIP, '');
  t.pass('an end takes everything back');
});

test('work that moves loses nothing outside', { skip }, async (t) => {
  const lab = await startLab(t);
  await lab.startZone('z2');
  await lab.waysAre(AIP, 'z1');
  const gaps = await lostWhile(t, lab, 'drain', async () => {
    await lab.order('place', AIP, ZONES.z2.uuid);
    await lab.waysAre(AIP, 'z2');
    await lab.order('place', AIP, ZONES.z1.uuid);
    await lab.waysAre(AIP, 'z1');
  });
  t.equal(gaps, 0, 'there was always a way');
  await until('the zone that had it is silent', () => lab.pathsOf(AIP) === 1);
  t.pass('only one announces');
});

test('the zone that got an address last has it', { skip }, async (t) => {
  const lab = await startLab(t);
  await lab.startZone('z2');
  await lab.waysAre(AIP, 'z1');
  await lostWhile(t, lab, 'vxlnatd killed', async () => {
    await lab.endZone('z1', 'SIGKILL');
    await lab.order('place', AIP, ZONES.z2.uuid);
    await lab.waysAre(AIP, 'z2');
  });
  t.equal(lab.pathsOf(AIP), 2, 'though the other is still announced');
  await lab.startZone('z1');
  await until('a zone that comes back learns', () => lab.pathsOf(AIP) === 1);
  await lab.waysAre(AIP, 'z2');
  await lab.waysAre(SNAT, 'z1');
  ping(t, lab, 'reached');
});
