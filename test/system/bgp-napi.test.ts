// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Announcement by BGP driven by the real napi-nat (bgp-cloud.ts): what its API
 * and its failover decide is seen at FRR and BIRD upstream, and by a stream of
 * packets from the Internet. How long things take is not judged; how many
 * packets were lost is said.
 */

import test, { type Test } from 'tape';
import { until } from '#test/until.js';
import { BgpCloud, startCloud } from './bgp-cloud.js';
import { lostWhile, PATIENT, ZONES, type ZoneName } from './bgp-lab.js';

const skip = process.getuid?.() !== 0 && 'needs root';

/** Why FRR's session with a zone ended last. */
function lastReset(cloud: BgpCloud, zone: ZoneName): string {
  const { external } = ZONES[zone];
  const seen = cloud.vtysh(`show bgp neighbors ${external} json`);
  return JSON.parse(seen)[external].lastNotificationReason ?? '';
}

test('an AIP of the API is announced by its zone only', { skip }, async (t) => {
  const cloud = await startCloud(t);
  const aip = await cloud.createAip();
  await cloud.waysAre(aip.ip, 'z1');
  t.equal(cloud.pathsOf(aip.ip), 1, 'the other zone does not announce it');
  t.ok(cloud.reaches(aip.ip), 'it is reached from the Internet');
  const shown = cloud.adm('z1', 'bgp', '-j');
  t.equal(shown.status, 0, 'vxlnatadm bgp finds nothing wrong');
  const { prefixes } = JSON.parse(shown.text) as {
    prefixes: { ip: string; sent_to: string[] }[];
  };
  t.deepEqual(
    prefixes.map(({ ip, sent_to }) => [ip, sent_to.length]).sort(),
    [
      [cloud.snat, 2],
      [aip.ip, 2],
    ].sort(),
    'both routers are sent what is served, and nothing else',
  );
  await cloud.call('POST', `/aips/${aip.uuid}?detach=true`);
  await cloud.waysAre(aip.ip, '');
  t.pass('an AIP without an instance is withdrawn');
});

test('a zone that is evacuated loses no packet', { skip }, async (t) => {
  const cloud = await startCloud(t);
  const { ip } = await cloud.createAip();
  await cloud.waysAre(ip, 'z1');
  t.ok(cloud.reaches(ip), 'reached');
  const before = await cloud.homeless();
  const evacuate = async () => {
    const path = `/nat_zones/${ZONES.z1.uuid}`;
    await cloud.call('PUT', path, { action: 'evacuate' });
    await cloud.waysAre(ip, 'z2');
    await until('z1 is silent', () => cloud.pathsOf(ip) === 1);
  };
  const gaps = await lostWhile(t, cloud, 'evacuated', evacuate, ip);
  t.equal(gaps, 0, 'there was always a way');
  t.equal(await cloud.homeless(), before, 'nobody dropped a packet of it');
  await cloud.waysAre(cloud.snat, 'z2');
  t.ok(cloud.reaches(ip), 'reached by the other zone');
});

/** @param bgp of the zones */
async function powerFails(t: Test, what: string, bgp: object): Promise<void> {
  const cloud = new BgpCloud(t);
  await cloud.raise(undefined, bgp);
  const { ip } = await cloud.createAip();
  await cloud.waysAre(ip, 'z1');
  t.ok(cloud.reaches(ip), 'reached');
  const die = async () => {
    await cloud.powerOff('z1');
    await cloud.waysAre(ip, 'z2');
    await until('packets pass', () => cloud.reaches(ip));
  };
  await lostWhile(t, cloud, what, die, ip);
  if (!('graceful_restart_seconds' in bgp)) return;
  t.equal(lastReset(cloud, 'z1'), 'Cease/BFD Down', 'BFD has told FRR');
  await cloud.waysAre(cloud.snat, 'z2');
  cloud.powerOn('z1');
  await cloud.startDurable('z1', bgp);
  await cloud.zoneIs('z1', 'up');
  await until('z1 is silent', () => cloud.pathsOf(ip) === 1);
  await cloud.waysAre(ip, 'z2');
  t.ok(cloud.reaches(ip), 'who comes back takes nothing back');
}

test('a zone without power: the other is the newer', { skip }, (t) =>
  powerFails(t, 'power off, graceful restart', PATIENT),
);

test('a zone without power: BFD takes it away', { skip }, (t) =>
  powerFails(t, 'power off, no graceful restart', {
    ...PATIENT,
    graceful_restart_seconds: 0,
  }),
);

test('without napi-nat zones go on announcing', { skip }, async (t) => {
  const cloud = await startCloud(t);
  const { ip } = await cloud.createAip();
  await cloud.waysAre(ip, 'z1');
  t.ok(cloud.reaches(ip), 'reached');
  await cloud.isOnDisk('z1', ip);
  await cloud.endNapi();
  await cloud.endZone('z1', 'SIGKILL');
  await cloud.startDurable('z1');
  await until('it is reached', () => cloud.reaches(ip));
  await cloud.waysAre(ip, 'z1');
  t.equal(cloud.pathsOf(ip), 1, 'and nobody else announces it');
});
