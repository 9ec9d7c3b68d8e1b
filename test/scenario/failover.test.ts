// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A zone dies and something of its work stays behind, or work moves that
 * should not (RFD 158, "Handling a NAT Reform Zone failure" and "recovery").
 */

import test from 'tape';
import {
  addFabric,
  addNic,
  addZone,
  type NatWorld,
  startWorld,
  uuidOf,
  zoneState,
} from '#test/nat-world.js';
import { until } from '#test/until.js';

interface PublicView {
  ip: string;
  kind: string;
  zone_uuid: string | null;
}

interface Row {
  ip: string;
  cn_uuid: string;
  ul3_ip: string;
  mac: string;
}

const CN = uuidOf(9, 1);

async function zonesUp(t: test.Test, world: NatWorld, net: string) {
  const at = { ip: `127.0.${net}.1`, port: 0 };
  const z1 = await addZone(t, world, 1, at);
  const z2 = await addZone(t, world, 2, { ...at, ip: `127.0.${net}.2` });
  await zoneState(world, z1.uuid, 'up');
  await zoneState(world, z2.uuid, 'up');
  return { z1, z2 };
}

async function publics(world: NatWorld): Promise<Record<string, string>> {
  const all = await world.must<PublicView[]>('GET', '/nat_publics');
  return Object.fromEntries(all.map((each) => [each.ip, each.zone_uuid ?? '']));
}

/** RFD 158's example: four fabrics of two owners, then a third's. */
async function example(world: NatWorld) {
  const [one, two, three] = [1, 2, 3].map((n) => uuidOf(1, n));
  const add = (owner: string | undefined, vlan: number, subnet: string) =>
    addFabric(world, owner as string, vlan, subnet);
  return [
    await add(one, 2, '10.4.4.0/22'),
    await add(one, 3, '10.5.5.0/24'),
    await add(two, 2, '10.6.6.0/24'),
    await add(two, 3, '10.7.7.0/24'),
    await add(three, 2, '10.5.5.0/24'),
  ];
}

async function routers(world: NatWorld, vnet: number): Promise<Row[]> {
  const rows = await world.must<Row[]>('GET', `/ul3_mappings?vnet_id=${vnet}`);
  return rows.filter((row) => row.ip.endsWith('.1'));
}

test("RFD 158's example: zone 1 is lost, and returns", async (t) => {
  const world = await startWorld(t);
  const { z1, z2 } = await zonesUp(t, world, '21');
  const fabrics = await example(world);
  t.deepEqual(
    fabrics.map((each) => each['nat_reform_public']),
    ['3.3.3.2', '3.3.3.2', '3.3.3.3', '3.3.3.3', '3.3.3.4'],
  );
  t.deepEqual(await publics(world), {
    '3.3.3.2': z1.uuid,
    '3.3.3.3': z2.uuid,
    '3.3.3.4': z2.uuid,
  });
  const [first] = fabrics as [(typeof fabrics)[number]];
  const owner = uuidOf(1, 1);
  const instance = uuidOf(2, 1);
  await addNic(world, { owner, instance, network: first.uuid, cn: CN });
  const aip = await world.must<{ ip: string }>('POST', '/aips', {
    owner_uuid: owner,
    instance,
  });
  const before = await routers(world, first.vnet_id);
  t.deepEqual(
    before.map((row) => [row.ip, row.cn_uuid, row.ul3_ip]),
    [
      ['10.4.4.1', z1.uuid, z1.ip],
      ['10.5.5.1', z1.uuid, z1.ip],
    ],
  );
  const synced = await until(
    'zone 1 to be in sync',
    () => world.must('GET', `/nat_zones/${z1.uuid}`),
    (zone) => (zone['status'] as { in_sync: boolean }).in_sync,
  );
  t.equal(synced['state'], 'up');

  z1.kill();
  const lost = await zoneState(world, z1.uuid, 'down');
  t.equal(lost['ul3_served_by'], z2.uuid, 'zone 2 answers for its UL3');
  const status = lost['status'] as {
    last_failover: { fabrics: number; aips: number; detect_ms: number };
  };
  t.equal(status.last_failover.fabrics, 2);
  t.equal(status.last_failover.aips, 1);
  t.ok(status.last_failover.detect_ms > 0);
  t.deepEqual(await publics(world), {
    '3.3.3.2': z2.uuid,
    '3.3.3.3': z2.uuid,
    '3.3.3.4': z2.uuid,
    [aip.ip]: z2.uuid,
  });
  const after = await routers(world, first.vnet_id);
  t.deepEqual(
    after.map((row) => [row.ip, row.cn_uuid, row.ul3_ip, row.mac]),
    before.map((row) => [row.ip, z2.uuid, z2.ip, row.mac]),
    'routers are rewired; their MACs stay',
  );

  await z1.revive();
  const back = await zoneState(world, z1.uuid, 'up');
  t.equal(back['ul3_served_by'], null, 'it has its UL3 again');
  t.equal((await publics(world))['3.3.3.2'], z2.uuid, 'nothing moves back');
  // Its heartbeats alone bring no work: packets must have reached it too.
  await until(
    'zone 1 to answer probes',
    () => world.must('GET', `/nat_zones/${z1.uuid}`),
    (zone) => (zone['status'] as { probe_ok: boolean }).probe_ok,
  );
  const fresh = await addFabric(world, uuidOf(1, 4), 2, '10.8.8.0/24');
  const given = fresh['nat_reform_public'] as string;
  t.equal((await publics(world))[given], z1.uuid, 'new work goes to it');
});

test('the last zone keeps its work; who comes then inherits', async (t) => {
  const world = await startWorld(t);
  const { z1, z2 } = await zonesUp(t, world, '22');
  await example(world);
  z1.kill();
  await zoneState(world, z1.uuid, 'down');
  const before = await publics(world);
  z2.kill();
  await until(
    'zone 2 to be found dead',
    () => world.must('GET', `/nat_zones/${z2.uuid}`),
    (zone) => (zone['status'] as { verdict: string }).verdict === 'down',
  );
  const last = await world.must('GET', `/nat_zones/${z2.uuid}`);
  t.equal(last['state'], 'up', 'no action is taken');
  t.deepEqual(await publics(world), before);
  await z1.revive();
  await zoneState(world, z2.uuid, 'down');
  t.deepEqual(
    [...new Set(Object.values(await publics(world)))],
    [z1.uuid],
    'zone 1, back, has taken all',
  );
});

test('a zone elsewhere does not take over the UL3', async (t) => {
  const world = await startWorld(t);
  const z1 = await addZone(t, world, 1, { ip: '127.0.23.1', port: 0 });
  const z2 = await addZone(t, world, 2, { ip: '127.0.24.1', port: z1.port });
  await zoneState(world, z1.uuid, 'up');
  await zoneState(world, z2.uuid, 'up');
  await example(world);
  z1.kill();
  const lost = await zoneState(world, z1.uuid, 'down');
  t.equal(lost['ul3_served_by'], null);
  t.deepEqual([...new Set(Object.values(await publics(world)))], [z2.uuid]);
});

test('drain brings no new work, evacuate moves the old', async (t) => {
  const world = await startWorld(t);
  const { z1, z2 } = await zonesUp(t, world, '25');
  await example(world);
  const path = `/nat_zones/${z1.uuid}`;
  const drained = await world.must('PUT', path, { action: 'drain' });
  t.equal(drained['state'], 'draining');
  t.equal((await publics(world))['3.3.3.2'], z1.uuid, 'it goes on serving');
  const fresh = await addFabric(world, uuidOf(1, 5), 2, '10.9.9.0/24');
  const given = fresh['nat_reform_public'] as string;
  t.equal((await publics(world))[given], z2.uuid);
  const empty = await world.must('PUT', path, { action: 'evacuate' });
  t.equal(empty['state'], 'draining');
  t.deepEqual([...new Set(Object.values(await publics(world)))], [z2.uuid]);
  t.equal((await world.call('DELETE', path)).status, 204);
  t.deepEqual([...new Set(Object.values(await publics(world)))], [z2.uuid]);
  t.equal((await world.call('GET', path)).status, 404);
  const refused = await world.call('DELETE', `/nat_zones/${z2.uuid}`);
  t.equal(refused.status, 409, 'the last zone with fabrics stays');
  t.equal(refused.body['code'], 'InUse');
});

test('a reserve stands by, takes over, and is in reserve no more', async (t) => {
  const world = await startWorld(t, { placement: 'standby' });
  const at = { ip: '127.0.26.1', port: 0 };
  const z1 = await addZone(t, world, 1, at);
  const held = { ...at, ip: '127.0.26.2', standby: true };
  const z2 = await addZone(t, world, 2, held);
  await zoneState(world, z1.uuid, 'up');
  await zoneState(world, z2.uuid, 'standby');
  await example(world);
  t.deepEqual([...new Set(Object.values(await publics(world)))], [z1.uuid]);
  z1.kill();
  await zoneState(world, z1.uuid, 'down');
  await zoneState(world, z2.uuid, 'up');
  t.deepEqual([...new Set(Object.values(await publics(world)))], [z2.uuid]);
});

test('fabrics of many owners share a public IP up to the limit', async (t) => {
  const policy = { sharing: 'shared', max_fabrics_per_public: 2 } as const;
  const world = await startWorld(t, policy);
  const { z1, z2 } = await zonesUp(t, world, '27');
  const given: unknown[] = [];
  for (let n = 1; n <= 5; n++) {
    const fabric = await addFabric(world, uuidOf(1, n), 2, '10.4.4.0/24');
    given.push(fabric['nat_reform_public']);
  }
  t.deepEqual(given, ['3.3.3.2', '3.3.3.3', '3.3.3.2', '3.3.3.3', '3.3.3.4']);
  const at = await publics(world);
  t.deepEqual(at['3.3.3.2'], z1.uuid);
  t.deepEqual(at['3.3.3.3'], z2.uuid);
});

/** How many public IPs each zone serves. */
async function spread(world: NatWorld): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const zone of Object.values(await publics(world))) {
    counts[zone] = (counts[zone] ?? 0) + 1;
  }
  return counts;
}

test('under rebalance a zone that joins or returns gets its share', async (t) => {
  const world = await startWorld(t, { on_join: 'rebalance' });
  const at = { ip: '127.0.28.1', port: 0 };
  const z1 = await addZone(t, world, 1, at);
  await zoneState(world, z1.uuid, 'up');
  const owners = [1, 2, 3, 4].map((n) => uuidOf(1, n));
  const fabrics = [];
  for (const owner of owners) {
    fabrics.push(await addFabric(world, owner, 2, '10.4.4.0/24'));
  }
  const z2 = await addZone(t, world, 2, { ...at, ip: '127.0.28.2' });
  const two = { [z1.uuid]: 2, [z2.uuid]: 2 };
  const even = async () =>
    until(
      'two public IPs on each',
      () => spread(world),
      (counts) => counts[z1.uuid] === 2 && counts[z2.uuid] === 2,
    );
  t.deepEqual(await even(), two, 'half of them moved');
  const at2 = await publics(world);
  for (const fabric of fabrics) {
    const [router] = await routers(world, fabric.vnet_id);
    const ip = fabric['nat_reform_public'] as string;
    t.equal(router?.cn_uuid, at2[ip], 'the router went with its public IP');
  }
  z1.kill();
  await zoneState(world, z1.uuid, 'down');
  t.deepEqual(await spread(world), { [z2.uuid]: 4 });
  await z1.revive();
  await zoneState(world, z1.uuid, 'up');
  t.deepEqual(await even(), two, 'and again when it is back');
});

test('nothing moves to a zone that has not acknowledged the rules', async (t) => {
  const world = await startWorld(t, { on_join: 'rebalance' });
  const at = { ip: '127.0.29.1', port: 0 };
  const z1 = await addZone(t, world, 1, at);
  await zoneState(world, z1.uuid, 'up');
  await addFabric(world, uuidOf(1, 1), 2, '10.4.4.0/24');
  await addFabric(world, uuidOf(1, 2), 2, '10.4.4.0/24');
  const z2 = await addZone(t, world, 2, { ...at, ip: '127.0.29.2' });
  z2.lag(true);
  await zoneState(world, z2.uuid, 'up');
  const refused = await world.call('PUT', `/nat_zones/${z1.uuid}`, {
    action: 'evacuate',
  });
  t.equal(refused.status, 409, 'evacuation is refused');
  t.deepEqual(await spread(world), { [z1.uuid]: 2 }, 'no share either');
  z2.lag(false);
  await until(
    'its share',
    () => spread(world),
    (counts) => counts[z2.uuid] === 1,
  );
  await world.must('PUT', `/nat_zones/${z1.uuid}`, { action: 'evacuate' });
  t.deepEqual(await spread(world), { [z2.uuid]: 2 });
});

test("a pinned owner's fabric goes to its compute node's zone", async (t) => {
  const [owner, cn] = [uuidOf(1, 1), uuidOf(9, 7)];
  const pins = { [owner]: [cn] };
  const world = await startWorld(t, { sharing: 'shared', pins });
  const at = { ip: '127.0.30.1', port: 0 };
  const z1 = await addZone(t, world, 1, at);
  const z2 = await addZone(t, world, 2, { ...at, ip: '127.0.30.2', cn });
  await zoneState(world, z1.uuid, 'up');
  await zoneState(world, z2.uuid, 'up');
  const mine = await addFabric(world, owner, 2, '10.4.4.0/24');
  const more = await addFabric(world, owner, 3, '10.5.5.0/24');
  const other = await addFabric(world, uuidOf(1, 2), 2, '10.4.4.0/24');
  const zones = await publics(world);
  t.equal(zones[mine['nat_reform_public'] as string], z2.uuid);
  t.equal(more['nat_reform_public'], mine['nat_reform_public']);
  t.notEqual(
    other['nat_reform_public'],
    mine['nat_reform_public'],
    'nobody joins its public IP',
  );
});

test('work that found no zone alive goes to the first that comes', async (t) => {
  const world = await startWorld(t);
  const at = { ip: '127.0.31.1', port: 0 };
  const z1 = await addZone(t, world, 1, at);
  z1.kill();
  await addFabric(world, uuidOf(1, 1), 2, '10.4.4.0/24');
  t.deepEqual(await spread(world), { [z1.uuid]: 1 }, 'there was no other');
  const z2 = await addZone(t, world, 2, { ...at, ip: '127.0.31.2' });
  await until(
    'zone 2 to have it',
    () => spread(world),
    (counts) => counts[z2.uuid] === 1,
  );
  t.deepEqual(await spread(world), { [z2.uuid]: 1 });
});
