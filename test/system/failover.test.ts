// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The failure model with real processes and real packets (lab/site.ts): two
 * napi-nat on one PostgreSQL, two vxlnatd, an instance and a host on the
 * Internet. What is lost one after the other: the leader, a zone, a zone's
 * links, all of napi-nat. After each the instance's packets must pass, by the
 * same address.
 */

import type { Test } from 'tape';
import { freshAddress } from '#test/postgres.js';
import { until } from '#test/until.js';
import {
  type Instance,
  type SiteZone,
  siteForAll,
  system,
} from './lab/site.js';

const site = siteForAll({ zones: 2, napis: 2 });
const [ZONE1, ZONE2] = site.zones as [SiteZone, SiteZone];
const PUBLIC = '3.3.3.2';
let one: Instance;

/** Packets pass by a zone, whatever the compute node was told. */
async function passBy(t: Test, zone: SiteZone, when: string): Promise<void> {
  t.equal(
    await site.way(one),
    `${zone.name} ${PUBLIC}`,
    `packets pass ${when}`,
  );
}

/** The public IPs that a zone answers for. */
function proxied(zone: SiteZone): string {
  const words = ['ip', 'neigh', 'show', 'proxy', 'dev', 'ex0'];
  return site.run(zone.name, ...words).text;
}

system('two napi-nat on PostgreSQL, two zones, packets pass', async (t) => {
  await site.up({ postgres: await freshAddress() });
  for (const zone of site.zones) await site.join(zone);
  one = await site.tenant(1);
  t.equal(one.fabric.public, PUBLIC);
  await passBy(t, ZONE1, 'at first');
});

system(
  'the leader is killed, then a zone: the next leader moves it',
  async (t) => {
    await site.napis[0]?.end();
    await passBy(t, ZONE1, 'without the leader');
    await site.kill(ZONE1);
    const lost = await site.is(ZONE1, 'down');
    t.equal(lost.ul3_served_by, ZONE2.uuid, 'zone 2 answers for its UL3');
    await passBy(t, ZONE2, 'and the compute node has learnt nothing');
    site.boot(ZONE1);
    await site.is(ZONE1, 'up');
  },
);

system('a zone is cut off: it withdraws, the other takes over', async (t) => {
  t.match(proxied(ZONE2), /3\.3\.3\.2/, 'zone 2 announces');
  site.plug(ZONE2, 'down');
  await site.is(ZONE2, 'down');
  await until(
    'zone 2 to withdraw by itself',
    () => proxied(ZONE2),
    (shown) => !shown.includes(PUBLIC),
  );
  t.match(proxied(ZONE1), /3\.3\.3\.2/, 'zone 1 announces');
  await passBy(t, ZONE1, 'by zone 1');
  site.plug(ZONE2, 'up');
  const back = await site.is(ZONE2, 'up');
  t.equal(back.ul3_served_by, null);
  t.doesNotMatch(proxied(ZONE2), /3\.3\.3\.2/, 'it takes nothing back');
});

/** Waits until napi-nat finds zones alive or dead. */
async function foundAs(verdict: string, ...zones: SiteZone[]): Promise<void> {
  for (const { name, uuid } of zones) {
    await until(
      `${name} to be found ${verdict}`,
      () => site.napi.zone(uuid),
      ({ status }) => status.verdict === verdict,
    );
  }
}

system(
  "napi-nat's own link is cut: all are silent, nothing moves",
  async (t) => {
    const before = await site.napi.publics();
    site.plug({ name: 'head' }, 'down', ['un']);
    await foundAs('down', ZONE1, ZONE2);
    for (const { name, uuid } of site.zones) {
      t.equal(
        (await site.napi.zone(uuid)).state,
        'up',
        `${name} is not given up`,
      );
    }
    t.deepEqual(await site.napi.publics(), before, 'nothing has moved');
    await passBy(t, ZONE1, 'as before');
    site.plug({ name: 'head' }, 'up', ['un']);
    await foundAs('up', ZONE1, ZONE2);
  },
);

system('an operator empties a zone, and deletes one', async (t) => {
  await site.act(ZONE1, 'drain');
  t.equal(await site.hear(one), ZONE1.ul3, 'drained, it keeps its work');
  // Refused as long as the other has not acknowledged the rules.
  await until('the work to move', () => site.act(ZONE1, 'evacuate'), Boolean);
  t.equal(await site.hear(one), ZONE2.ul3);
  await passBy(t, ZONE2, 'by zone 2, which was given the work');
  await site.act(ZONE1, 'undrain');
  const remove = (zone: SiteZone) =>
    site.napi.call('DELETE', `/nat_zones/${zone.uuid}`);
  await until(
    'zone 2 to be deleted',
    () => remove(ZONE2),
    ({ status }) => status === 204,
  );
  t.equal(await site.hear(one), ZONE1.ul3);
  await passBy(t, ZONE1, 'by zone 1 again');
  const { status } = await remove(ZONE1);
  t.equal(status, 409, 'the last one with work stays');
});

system('the last zone is lost: no action; who comes inherits', async (t) => {
  const before = await site.napi.publics();
  await site.kill(ZONE1);
  await foundAs('down', ZONE1);
  t.equal((await site.napi.zone(ZONE1.uuid)).state, 'up', 'no action is taken');
  t.deepEqual(await site.napi.publics(), before, 'it keeps its work');
  t.notOk(site.passes(one), 'and nothing passes');
  await site.join(ZONE2);
  await site.is(ZONE1, 'down');
  await passBy(
    t,
    ZONE2,
    'by who came, and the compute node has learnt nothing',
  );
});

system('all of napi-nat dies: packets pass, a zone restarts', async (t) => {
  await site.napi.end();
  await passBy(t, ZONE2, 'without napi-nat');
  await site.kill(ZONE2);
  site.boot(ZONE2);
  await passBy(t, ZONE2, 'by a zone that started from its disk');
});
