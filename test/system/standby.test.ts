// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A zone in reserve, and one whose underlay comes and goes: what they are given
 * and when, on real packets. Heartbeats go by another network and never stop,
 * so that only the data path tells of the loss.
 */

import type { Test } from 'tape';
import { until } from '#test/until.js';
import {
  type Instance,
  type SiteZone,
  siteForAll,
  system,
} from './lab/site.js';

const site = siteForAll({
  zones: 2,
  policy: { placement: 'standby', on_join: 'rebalance' },
});
const [ZONE1, ZONE2] = site.zones as [SiteZone, SiteZone];
const tenants: Instance[] = [];

async function waysAre(t: Test, zones: SiteZone[], when: string) {
  for (const [i, each] of tenants.entries()) {
    const due = `${zones[i]?.name} ${each.fabric.public}`;
    t.equal(await site.way(each), due, `${each.name}: ${due}, ${when}`);
  }
}

/** Zone 1's underlay is cut, and it is found out. */
async function lose(): Promise<{ at: number; publics: number }> {
  site.plug(ZONE1, 'down', ['un']);
  const { status } = await site.is(ZONE1, 'down');
  const { at = '', publics = -1 } = status.last_failover ?? {};
  return { at: Date.parse(at), publics };
}

/** Zone 1 is back and has been given one of the two public IPs. */
async function regain(): Promise<void> {
  site.plug(ZONE1, 'up', ['un']);
  await until(
    'a share',
    () => site.due(tenants[0] as Instance),
    (due) => due.startsWith(ZONE1.name),
  );
  for (const each of tenants) await site.hear(each);
}

const holdDown = async () =>
  (await site.napi.zone(ZONE1.uuid)).status.hold_down_ms;

system('standby: a reserve carries nothing while another can', async (t) => {
  await site.up();
  await site.join(ZONE1);
  await site.join(ZONE2, { standby: true, state: 'standby' });
  for (const owner of [1, 2]) tenants.push(await site.tenant(owner));
  await waysAre(t, [ZONE1, ZONE1], 'by the one that is not in reserve');
  const { announced } = site.page<{ announced: string[] }>(ZONE2, '/health');
  t.deepEqual(announced, [], 'the reserve announces nothing');
});

system('standby: the reserve has it all when the other is lost', async (t) => {
  await until('zone 2 to have all rules', async () => {
    const { status } = await site.napi.zone(ZONE2.uuid);
    return status.in_sync;
  });
  const { publics } = await lose();
  t.equal(publics, 2, 'both public IPs moved');
  t.equal((await site.napi.zone(ZONE2.uuid)).state, 'up', 'no reserve now');
  await waysAre(t, [ZONE2, ZONE2], 'and compute nodes have learnt nothing');
  for (const each of tenants) await site.hear(each);
});

system('a zone with heartbeats but no underlay gets nothing', async (t) => {
  const first = (await site.napi.zone(ZONE1.uuid)).status.last_failover?.at;
  const again = await until(
    'zone 1 to come by its heartbeats, and to be given up',
    async () => (await site.napi.zone(ZONE1.uuid)).status.last_failover,
    (last) => last?.at !== first,
  );
  t.equal(again?.publics, 0, 'it had been given no public IP');
  await waysAre(t, [ZONE2, ZONE2], 'all the time');
});

system('a zone that flaps is held down, longer each time', async (t) => {
  await regain();
  await waysAre(t, [ZONE1, ZONE2], 'each has a share');
  const falls: { at: number; hold: number }[] = [];
  for (let i = 0; i < 3; i++) {
    if (i > 0) await regain();
    const { at, publics } = await lose();
    t.equal(publics, 1, 'its share moved');
    falls.push({ at, hold: await holdDown() });
    // What the link does now is of no interest.
    for (const state of ['up', 'down', 'up', 'down'] as const) {
      site.plug(ZONE1, state, ['un']);
      t.ok(site.passes(tenants[1] as Instance), `link ${state}`);
    }
  }
  for (const [i, { at, hold }] of falls.slice(1).entries()) {
    const before = falls[i] as { at: number; hold: number };
    t.ok(hold >= 2 * before.hold, `the next fall costs ${hold} ms`);
    t.ok(at - before.at >= before.hold, `this one has cost ${before.hold} ms`);
  }
  for (const each of tenants) await site.hear(each);
  await waysAre(t, [ZONE2, ZONE2], 'while it is held down');
});
