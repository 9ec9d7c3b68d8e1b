// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Where work is placed, on real packets: the wire to the Internet must show
 * each instance behind the zone and the public IP that napi-nat says, and
 * napi-nat must say what the policy is (docs/placement.md, "Placement").
 */

import type { Test } from 'tape';
import { uuidOf } from '#test/nat-world.js';
import { until } from '#test/until.js';
import {
  type Instance,
  type SiteZone,
  siteForAll,
  system,
  zoneAt,
} from './lab/site.js';

/** Owners 8 and 9 are pinned to zone 2's compute node, and both together. */
const PINNED = 8;
const OTHER = 9;
const pins = { [uuidOf(1, PINNED)]: [zoneAt(2).server] };
const site = siteForAll({ zones: 3, policy: { pins } });
const [ZONE1, ZONE2, ZONE3] = site.zones as [SiteZone, SiteZone, SiteZone];
const tenants: Instance[] = [];

/** The zones by which instances' packets leave, as the wire has it. */
async function zonesOf(all: Instance[]): Promise<string[]> {
  const ways: string[] = [];
  for (const each of all) ways.push(await site.way(each));
  return ways.map((way) => way.split(' ')[0] as string);
}

system('per-owner: an owner has one public IP for all networks', async (t) => {
  await site.up();
  await site.join(ZONE1);
  await site.join(ZONE2);
  await site.join(ZONE3, { weight: 2 });
  tenants.push(await site.tenant(1, '10.4.4.0/24'));
  tenants.push(await site.tenant(1, '10.5.5.0/24'));
  // The private addresses of another owner's network are the same.
  tenants.push(await site.tenant(2, '10.4.4.0/24'));
  const [first, second, other] = tenants as [Instance, Instance, Instance];
  t.equal(first.ip, other.ip, 'two owners use one private address');
  await site.follows(t, tenants, 'per-owner');
  t.equal(await site.way(first), await site.way(second), 'one owner, one way');
  t.notEqual(first.fabric.public, other.fabric.public, 'another, another');
});

system('spread: zones have their share by weight, in packets', async (t) => {
  for (const owner of [3, 4, 5, 6, 7]) tenants.push(await site.tenant(owner));
  await site.follows(t, tenants, 'spread');
  const zones = await zonesOf(tenants);
  const count = (zone: SiteZone) =>
    zones.filter((name) => name === zone.name).length;
  t.deepEqual(
    site.zones.map(count),
    [2, 2, 4],
    'twice the weight, twice the networks',
  );
});

async function passBy(t: Test, one: Instance, zone: SiteZone, why: string) {
  await site.follows(t, [one], why);
  t.deepEqual(await zonesOf([one]), [zone.name], `by ${zone.name}`);
}

system('pinned: an owner leaves by the zone of its compute node', async (t) => {
  // Zone 2 has more to do than the others now, and would not be chosen.
  const more = await site.tenant(2, '10.6.6.0/24');
  await passBy(t, more, ZONE2, 'with its owner');
  const pinned = await site.tenant(PINNED);
  await passBy(t, pinned, ZONE2, 'pinned');
  const other = await site.tenant(OTHER);
  await passBy(t, other, ZONE1, 'not pinned');
  await site.kill(ZONE2);
  await site.is(ZONE2, 'down');
  await site.hear(pinned);
  await site.follows(t, [pinned], 'elsewhere rather than nowhere');
  t.notEqual((await zonesOf([pinned]))[0], ZONE2.name, 'zone 2 is gone');
  await site.reform({ policy: { pins, on_join: 'rebalance' } });
  site.boot(ZONE2);
  await site.is(ZONE2, 'up');
  const home = (way: string) => way.startsWith(ZONE2.name);
  await until('home again', () => site.due(pinned), home);
  await site.hear(pinned);
  await passBy(t, pinned, ZONE2, 'home again');
});
