// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Steps 4 to 7: what the operator sees happen to zones and services. */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Deployment,
  startNapi,
  startZone,
  until,
  type ZoneView,
  zonesInSync,
} from '../deployment.js';
import {
  fetchFrom,
  INTERNET_URL,
  seenAs,
  tcpStream,
  udpProbe,
  whoAnswers,
} from '../probes.js';
import type { Story } from '../story.js';
import { addFabricNetwork, network, provision } from '../tenants.js';
import { CUSTOMERS, INSTANCES, ZONES } from '../topology.js';
import { type AipView, customer, nothingPrivate } from './customer.js';

interface PublicView {
  ip: string;
  zone_uuid: string | null;
}

/** 4: a new fabric network reaches every zone. */
export async function newFabric(d: Deployment, story: Story): Promise<void> {
  const alice = CUSTOMERS[0] as (typeof CUSTOMERS)[number];
  const before = await zonesInSync(d);
  const fabric = await addFabricNetwork(d, alice, 'alice-new', '10.8.8.0/24');
  const after = await zonesInSync(d);
  const digests = after.map((zone) => zone.status.digest);
  story.check(
    digests[0] === digests[1] && digests[0] !== before[0]?.status.digest,
    `both zones have the new rule: digests ${digests.join(' and ')}`,
  );
  const model = INSTANCES[0] as (typeof INSTANCES)[number];
  await provision(d, {
    ...model,
    name: 'fresh',
    uuid: `${model.uuid.slice(0, -1)}f`,
    network: 'alice-new',
    ip: '10.8.8.8',
  });
  const seen = await seenAs(d, 'fresh');
  story.check(
    seen === fabric.nat_reform_public,
    `an instance on it was seen as ${seen}`,
  );
}

async function servingZone(d: Deployment, ip: string) {
  const served = await d.napi.must<PublicView>('GET', `/nat_publics/${ip}`);
  const zone = ZONES.find((z) => z.uuid === served.zone_uuid);
  if (zone === undefined) throw new Error(`no zone serves ${ip}`);
  return zone;
}

/** 5: SIGKILL under traffic. Returns the zone that died. */
export async function killZone(d: Deployment, story: Story) {
  const snatIp = network(d, 'alice-web').nat_reform_public as string;
  const aip = await customer(d, 'alice').must<AipView>('POST', '/my/aips', {
    instance: INSTANCES[0]?.uuid,
  });
  await whoAnswers(d, aip.ip);
  const victim = await servingZone(d, snatIp);
  story.tell(`${victim.name} serves vnet 1: ${snatIp} and AIP ${aip.ip}`);
  const stream = tcpStream(d, aip.ip, 5000);
  const probe = udpProbe(d, aip.ip, 'all', 5000);
  await sleep(1500);
  const service = d.services.get(victim.name);
  const killedAt = Date.now();
  service?.child.kill('SIGKILL');
  story.tell(`SIGKILL to ${victim.name} while a TCP connection is open`);
  const snat = fetchFrom(d, 'db', `${INTERNET_URL}after`, 5000, 100);
  const zone = await until('napi-nat to see the zone down', async () => {
    const view = await d.napi.must<ZoneView>(
      'GET',
      `/nat_zones/${victim.uuid}`,
    );
    return view.state === 'down' ? view : null;
  });
  const [tcp, udp, fetched] = await Promise.all([
    stream.result,
    probe.result,
    snat,
  ]);
  reportFailover(story, { zone, killedAt, udp, fetched });
  story.check(
    tcp.ok,
    `the TCP connection stayed open: ${tcp.echoed} of ${tcp.lines} lines`,
    tcp.error ?? `${tcp.echoed} of ${tcp.lines}`,
  );
  const survivor = await servingZone(d, snatIp);
  story.check(
    survivor.uuid !== victim.uuid && zone['ul3_served_by'] === survivor.uuid,
    `${survivor.name} took over ${snatIp} and the UL3 ${victim.ul3}`,
  );
  const rows = await d.napi.must<{ ip: string; cn_uuid: string }[]>(
    'GET',
    `/ul3_mappings?vnet_id=${d.vnets.get('alice')}&ip=10.4.4.1`,
  );
  story.check(
    rows[0]?.cn_uuid === survivor.uuid,
    `the router row of 10.4.4.1 is rewired to ${survivor.name}`,
    JSON.stringify(rows),
  );
  return { victim, survivor, aip };
}

function reportFailover(
  story: Story,
  seen: {
    zone: ZoneView;
    killedAt: number;
    udp: { gaps: { from: number; to: number }[] };
    fetched: { ok: boolean; at: number; body: string; error?: string };
  },
): void {
  const failover = (seen.zone.status as unknown as Record<string, unknown>)[
    'last_failover'
  ] as { detect_ms: number; decide_ms: number } | undefined;
  story.check(failover !== undefined, 'napi-nat decided on a failover');
  const gap = seen.udp.gaps.find((g) => g.to > seen.killedAt);
  story.check(gap !== undefined, 'the AIP was silent, then resumed');
  story.check(
    seen.fetched.ok,
    'a new SNAT connection works through the survivor',
    seen.fetched.error,
  );
  const figures = {
    detect_ms: failover?.detect_ms as number,
    decide_ms: failover?.decide_ms as number,
    resume_aip_ms: (gap?.to as number) - seen.killedAt,
    resume_snat_ms: seen.fetched.at - seen.killedAt,
  };
  for (const [name, value] of Object.entries(figures)) {
    story.figure(name, value);
  }
  story.tell(
    `detected after ${Math.round(figures.detect_ms)} ms, decided in ` +
      `${Math.round(figures.decide_ms)} ms, AIP back after ` +
      `${figures.resume_aip_ms} ms, SNAT after ${figures.resume_snat_ms} ms`,
  );
}

/** 6: the zone returns; nothing moves. */
export async function zoneReturns(
  d: Deployment,
  story: Story,
  before: Awaited<ReturnType<typeof killZone>>,
): Promise<void> {
  const stream = tcpStream(d, before.aip.ip, 4000);
  const publics = () => d.napi.must<PublicView[]>('GET', '/nat_publics');
  const placed = await publics();
  startZone(d, before.victim);
  await zonesInSync(d);
  story.check(true, `${before.victim.name} is up again and in sync`);
  story.check(
    JSON.stringify(await publics()) === JSON.stringify(placed),
    'no public IP moved (policy keep)',
  );
  const tcp = await stream.result;
  story.check(
    tcp.ok,
    'a TCP connection over the AIP did not notice',
    tcp.error ?? `${tcp.echoed} of ${tcp.lines}`,
  );
  story.check(
    (await whoAnswers(d, before.aip.ip)) === 'web',
    `${before.aip.ip} still reaches web`,
  );
  await seenAs(d, 'db');
}

/** 7: no control plane at all, and a zone restarts without it. */
export async function controlPlaneDies(
  d: Deployment,
  story: Story,
  before: Awaited<ReturnType<typeof killZone>>,
): Promise<void> {
  const napi = d.services.get('napi-nat');
  if (napi !== undefined) await d.lab.stop(napi, 'SIGKILL');
  story.check(
    (await whoAnswers(d, before.aip.ip)) === 'web',
    'napi-nat is dead; the AIP works',
  );
  const zone = before.survivor;
  const daemon = d.services.get(zone.name);
  if (daemon !== undefined) await d.lab.stop(daemon, 'SIGKILL');
  startZone(d, zone);
  const answered = await whoAnswers(d, before.aip.ip, 10_000);
  story.check(
    answered === 'web',
    `${zone.name} was restarted without napi-nat; the AIP works`,
    `${answered}`,
  );
  const seen = await seenAs(d, 'db');
  story.check(
    seen === network(d, 'alice-db').nat_reform_public,
    `and db leaves by ${seen}`,
  );
  await startNapi(d);
  await zonesInSync(d);
  story.check(true, 'napi-nat is back; both zones are in sync');
  await nothingPrivate(d, story);
}
