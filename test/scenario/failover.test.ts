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
  until,
  uuidOf,
  zoneState,
} from '#test/nat-world.js';

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
