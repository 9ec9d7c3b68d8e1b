// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Public IPs that owners share, and zones that join: under `keep` they get new
 * work, under `rebalance` their share, and under both nothing as long as they
 * lack rules. On real packets: each instance's way is read off the wire before
 * and after.
 */

import type { Test } from 'tape';
import { until } from '#test/until.js';
import type { ZoneView } from './lab/napi.js';
import {
  type Instance,
  type SiteZone,
  siteForAll,
  system,
} from './lab/site.js';

const shared = { sharing: 'shared', max_fabrics_per_public: 2 } as const;
const site = siteForAll({ zones: 3, policy: shared });
const [ZONE1, ZONE2, ZONE3] = site.zones as [SiteZone, SiteZone, SiteZone];
const tenants: Instance[] = [];

/** Every instance's way on the wire, which must be the one that is due. */
async function ways(t: Test, when: string): Promise<string[]> {
  await site.follows(t, tenants, when);
  const due: string[] = [];
  for (const each of tenants) due.push(await site.due(each));
  return due;
}

system('shared: owners behind one public IP, each has answers', async (t) => {
  await site.up();
  await site.join(ZONE1);
  for (const owner of [1, 2, 3]) tenants.push(await site.tenant(owner));
  t.equal(new Set(tenants.map(({ ip }) => ip)).size, 1, 'one private address');
  t.deepEqual(
    await ways(t, 'shared'),
    ['zone1 3.3.3.2', 'zone1 3.3.3.2', 'zone1 3.3.3.3'],
    'two to a public IP, which is the limit',
  );
});

system('keep: a zone that joins gets new work only', async (t) => {
  await site.join(ZONE2);
  tenants.push(await site.tenant(4));
  t.deepEqual(
    await ways(t, 'with a second zone'),
    ['zone1 3.3.3.2', 'zone1 3.3.3.2', 'zone1 3.3.3.3', 'zone2 3.3.3.4'],
    'what was there stays',
  );
});

/** Waits until a public IP is a zone's, and compute nodes have heard. */
async function moved(ip: string, zone: SiteZone): Promise<void> {
  await until(
    `${ip} to be ${zone.name}'s`,
    async () => (await site.napi.publics()).get(ip),
    (at) => at === zone.uuid,
  );
  for (const each of tenants) await site.hear(each);
}

system('rebalance: a zone that joins is given its share', async (t) => {
  await site.reform({ policy: { ...shared, on_join: 'rebalance' } });
  for (const zone of [ZONE1, ZONE2]) await site.acknowledges(zone);
  await site.join(ZONE3);
  await moved('3.3.3.2', ZONE3);
  t.deepEqual(
    await ways(t, 'with a third zone'),
    ['zone3 3.3.3.2', 'zone3 3.3.3.2', 'zone1 3.3.3.3', 'zone2 3.3.3.4'],
    'the most crowded zone gave, and nothing else moved',
  );
});

system('make before break: who lacks rules is given nothing', async (t) => {
  site.muteFeed(ZONE2);
  // A rule that zone 2 does not hear of: it joins zone 1's public IP.
  const fabric = await site.fabric(5);
  await until('the work to move', () => site.act(ZONE3, 'evacuate'), Boolean);
  await moved('3.3.3.2', ZONE1);
  await site.act(ZONE2, 'rebalance');
  tenants.push(await site.instance(fabric));
  t.deepEqual(
    await ways(t, 'emptied'),
    [
      ...['zone1 3.3.3.2', 'zone1 3.3.3.2', 'zone1 3.3.3.3'],
      ...['zone2 3.3.3.4', 'zone1 3.3.3.3'],
    ],
    'all to zone 1, although zone 2 has less to do',
  );
  const { state, status } = await site.napi.zone(ZONE2.uuid);
  t.deepEqual([state, status.verdict], ['up', 'up'], 'which is alive');
  const { position } = await site.napi.must<ZoneView['status']>(
    'GET',
    '/dataplane',
  );
  t.ok(status.position < position, 'and has not heard of the rule');
  site.rules();
  await moved('3.3.3.2', ZONE2);
  t.deepEqual(
    await ways(t, 'with all rules'),
    [
      ...['zone2 3.3.3.2', 'zone2 3.3.3.2', 'zone1 3.3.3.3'],
      ...['zone2 3.3.3.4', 'zone1 3.3.3.3'],
    ],
    'with the rule it is given its share',
  );
});
