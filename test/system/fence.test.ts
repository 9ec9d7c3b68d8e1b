// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A vxlnatd on XDP that is cut off from napi-nat alone: its peer tells it that
 * it is down. Senders that have heard nothing go on sending to its cards; not
 * one of their packets may be translated, by the kernel's program or by the
 * engine, or two zones would give out ports of one public IP.
 */

import type { Test } from 'tape';
import { until } from '#test/until.js';
import {
  INTERNET,
  type Instance,
  type SiteZone,
  siteForAll,
  system,
} from './lab/site.js';

const site = siteForAll({ zones: 2, io: 'xdp' });
const [ZONE1, ZONE2] = site.zones as [SiteZone, SiteZone];
let one: Instance;
let aip: string;

interface Stats {
  io: { fast_out: number; fast_in: number };
  engine: { tx_external_packets: number; tx_underlay_packets: number };
  follow: { fenced: boolean };
}

const stats = (zone: SiteZone) => site.page<Stats>(zone, '/stats');

/** What a zone has translated, by whatever path. */
function translated(zone: SiteZone): number[] {
  const { io, engine } = stats(zone);
  const { tx_external_packets: out, tx_underlay_packets: back } = engine;
  return [io.fast_out, io.fast_in, out, back];
}

/** How often a zone has dropped for a reason. */
function drops(zone: SiteZone, reason: string): number {
  const all = site.page<{ name: string; count: number }[]>(zone, '/drops');
  return all.find(({ name }) => name === reason)?.count ?? 0;
}

/** Flows by which the kernel's program translates, both ways. */
async function byXdp(t: Test, zone: SiteZone, when: string): Promise<void> {
  const { io: before } = stats(zone);
  await until('the kernel to translate', () => {
    const many = ['ping', '-c', '3', '-i', '0.2', '-W', '1'];
    site.run(one.name, ...many, INTERNET);
    site.run('inet', ...many, aip);
    const { io } = stats(zone);
    return io.fast_out > before.fast_out && io.fast_in > before.fast_in;
  });
  t.equal(
    await site.way(one),
    `${zone.name} ${aip}`,
    `by ${zone.name}, ${when}`,
  );
}

/** Has a sender stay with a zone's card, whoever says what. */
function pin(machine: string, network: string, ip: string): void {
  const at = site.macOf(ZONE1.name, network);
  const entry = `${ip} lladdr ${at} dev ${network}0 nud permanent`;
  site.ip(machine, `neigh replace ${entry}`);
}

function unpin(machine: string, network: string, ip: string): void {
  site.ip(machine, `neigh del ${ip} dev ${network}0`);
}

system('both zones forward by XDP', async (t) => {
  await site.up();
  for (const zone of site.zones) {
    await site.join(zone);
    const { path } = site.page<{ path: string }>(zone, '/health');
    t.equal(path, 'xdp', `${zone.name} by XDP`);
  }
  one = await site.tenant(1);
  const body = { owner_uuid: one.fabric.owner, instance: one.uuid };
  const made = await site.napi.must<{ ip: string }>('POST', '/aips', body);
  aip = made.ip;
  await byXdp(t, ZONE1, 'at first');
});

system('a zone on XDP that is fenced translates nothing', async (t) => {
  for (const node of ['cn1', 'cn2']) pin(node, 'un', ZONE1.ul3);
  pin('inet', 'ex', aip);
  // Its peer and the senders stay within reach.
  site.rules(`ip daddr { ${ZONE1.admin}, ${ZONE1.ul3} } drop`);
  await site.is(ZONE1, 'down');
  await until('zone 1 to be fenced', () => stats(ZONE1).follow.fenced);
  await until(
    'its engine to have no UL3',
    () => site.page<{ ul3s: string[] }>(ZONE1, '/health').ul3s.length === 0,
  );
  const before = translated(ZONE1);
  const lost = () => [drops(ZONE1, 'NotOurUl3'), drops(ZONE1, 'NoUl3')];
  const [vxlan = 0, outside = 0] = lost();
  const ping = ['ping', '-c', '4', '-i', '0.2', '-W', '1'];
  t.notEqual(site.run(one.name, ...ping, INTERNET).status, 0, 'no way out');
  t.notEqual(site.run('inet', ...ping, aip).status, 0, 'no way in');
  t.deepEqual(translated(ZONE1), before, 'nothing was translated');
  const [after, beyond] = lost();
  t.equal(after, vxlan + 4, 'what came by VXLAN was counted: NotOurUl3');
  t.equal(beyond, outside + 4, 'what came from outside too: NoUl3');
});

system('meanwhile the other zone translates, by XDP too', async (t) => {
  for (const node of ['cn1', 'cn2']) unpin(node, 'un', ZONE1.ul3);
  unpin('inet', 'ex', aip);
  await byXdp(t, ZONE2, 'who has not heard');
});

system('with its lease back the fenced zone goes on', async (t) => {
  site.rules();
  await site.is(ZONE1, 'up');
  await until('zone 1 to be open', () => !stats(ZONE1).follow.fenced);
  await until('the work to move', () => site.act(ZONE2, 'evacuate'), Boolean);
  t.equal(await site.hear(one), ZONE1.ul3);
  await byXdp(t, ZONE1, 'again');
});
