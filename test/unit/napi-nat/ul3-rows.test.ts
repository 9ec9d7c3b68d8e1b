// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a row without its shootdown (nodes go on sending to the
 * old place for ever), or a row that SVP cannot find.
 */

import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { mac, parseMac } from '#lib/net/mac.js';
import { openLevelStore } from '#lib/store/open.js';
import type { JournalEntry, Store } from '#lib/store/types.js';
import { temporaryDirectory } from '#test/tmp.js';
import { ul3Context } from '#test/ul3-store.js';
import { type Changes, merge } from '../../../services/napi-nat/commit.js';
import { readLog, removeLog } from '../../../services/napi-nat/ul3/log.js';
import {
  listMappings,
  lookUpVl2,
  lookUpVl3,
} from '../../../services/napi-nat/ul3/lookup.js';
import {
  overlayChanges,
  routerChanges,
  routersChanges,
  type Ul3Nic,
  underlayChanges,
  zoneUnderlayChanges,
} from '../../../services/napi-nat/ul3/rows.js';

const ip = (text: string) => parseIpv4(text) ?? (0 as never);
const NETWORK = { fabric: true, vnet_id: 7, vlan_id: 2 } as const;
const CN_A = 'aaaaaaaa-0000-4000-8000-000000000001';
const CN_B = 'bbbbbbbb-0000-4000-8000-000000000002';
const ZONE_1 = '11111111-0000-4000-8000-000000000001';
const ZONE_2 = '22222222-0000-4000-8000-000000000002';
const ROUTER = '90:b8:d0:00:00:01';
const UL3 = { [CN_A]: '192.168.12.1', [CN_B]: '192.168.12.2' };

const server = (cn: string, address: string): Ul3Nic => ({
  mac: 1,
  ipaddr: address,
  belongs_to_type: 'server',
  belongs_to_uuid: cn,
  underlay: true,
});

const nic = (n: number, cn: string, last = n): Ul3Nic => ({
  mac: 0x90b8d0000100 + n,
  ipaddr: `10.4.4.${last}`,
  belongs_to_type: 'zone',
  belongs_to_uuid: ZONE_1,
  cn_uuid: cn,
});

async function scene(t: Test) {
  const store: Store = await openLevelStore(temporaryDirectory(t), {
    clock: systemClock(),
  });
  t.teardown(() => store.close());
  const ctx = await ul3Context(store);
  async function write(...changes: Promise<Changes>[]): Promise<void> {
    for (const one of changes) {
      const { requests, events } = merge(await one);
      await store.batch(requests, events);
    }
  }
  const underlay = (cn: string, address: string | null, before = false) =>
    underlayChanges(ctx, {
      before: before ? server(cn, '192.168.12.250') : null,
      after: address === null ? null : server(cn, address),
    });
  await write(underlay(CN_A, UL3[CN_A] ?? ''), underlay(CN_B, UL3[CN_B] ?? ''));
  /** The log of an address as text, emptied. */
  async function log(address: string): Promise<string[]> {
    const records = (await readLog(store, ip(address), 65_536)) ?? [];
    await removeLog(
      store,
      records.map((record) => record.id),
    );
    return records.map((record) =>
      record.type === 'vl2'
        ? `vl2 ${record.mac.toString(16)}`
        : `vl3 ${record.ip & 255} vlan ${record.vlan}`,
    );
  }
  let read = 0;
  async function events(): Promise<string[]> {
    const entries: JournalEntry[] = await store.journal.read(read, 1000);
    read = store.journal.position();
    return entries.map(({ id, object, subResources }) => {
      const at = object as { ul3_ip?: string } | null;
      return `${subResources[0]} ${id} ${at?.ul3_ip ?? null}`;
    });
  }
  const put = (before: Ul3Nic | null, after: Ul3Nic | null) =>
    write(overlayChanges(ctx, { before, after, network: NETWORK }));
  return { store, ctx, write, underlay, log, put, events };
}

test('a new NIC is found by IP and by MAC', async (t) => {
  const { store, put, log } = await scene(t);
  await put(null, nic(10, CN_A));
  const at = { ip: ip('192.168.12.1'), port: 4789 };
  const vl3 = await lookUpVl3(store, 7, ip('10.4.4.10'));
  t.deepEqual(vl3, { ...at, mac: mac(0x90b8d000010a) });
  t.deepEqual(await lookUpVl2(store, 7, mac(0x90b8d000010a)), at);
  t.equal(await lookUpVl3(store, 8, ip('10.4.4.10')), null, 'another vnet');
  t.equal(await lookUpVl2(store, 8, mac(0x90b8d000010a)), null);
  const row = await store.getObject('portolan_vnet_mac_ip', '::ffff:a04:40a,7');
  t.deepEqual(row.value, {
    mac: 0x90b8d000010a,
    ip: '::ffff:a04:40a',
    cn_uuid: CN_A,
    vnet_id: 7,
    version: 1,
    deleted: false,
  });
  t.deepEqual(await log('192.168.12.1'), [], 'the first has nobody to tell');
  await put(null, nic(11, CN_B));
  t.deepEqual(await log('192.168.12.1'), ['vl3 11 vlan 2']);
});

test('a NIC that goes leaves a tombstone and VL2 shootdowns', async (t) => {
  const { store, put, log, events } = await scene(t);
  await put(null, nic(10, CN_A));
  await put(null, nic(11, CN_B));
  await log('192.168.12.1');
  await log('192.168.12.2');
  await events();
  await put(nic(10, CN_A), null);
  t.equal(await lookUpVl3(store, 7, ip('10.4.4.10')), null);
  t.equal(await lookUpVl2(store, 7, mac(0x90b8d000010a)), null);
  const row = await store.getObject('portolan_vnet_mac_ip', '::ffff:a04:40a,7');
  t.equal(row.value['deleted'], true, 'the row stays, marked');
  t.deepEqual(await log('192.168.12.1'), ['vl2 90b8d000010a']);
  t.deepEqual(await log('192.168.12.2'), ['vl2 90b8d000010a']);
  t.deepEqual(await events(), ['delete 7,10.4.4.10 null']);
  t.deepEqual(await log('192.168.12.2'), [], 'removed once acknowledged');
});

test('a NIC that moves, changes address, or neither', async (t) => {
  const { store, put, log, events } = await scene(t);
  await put(null, nic(10, CN_A));
  await events();
  await put(nic(10, CN_A), nic(10, CN_B));
  t.deepEqual(
    await log('192.168.12.1'),
    ['vl3 10 vlan 2', 'vl2 90b8d000010a'],
    'migrated',
  );
  t.deepEqual(await events(), ['put 7,10.4.4.10 192.168.12.2']);
  await log('192.168.12.2');
  await put(nic(10, CN_B), nic(10, CN_B, 20));
  t.deepEqual(await log('192.168.12.2'), ['vl3 10 vlan 2', 'vl3 20 vlan 2']);
  t.deepEqual(await events(), [
    'delete 7,10.4.4.10 null',
    'put 7,10.4.4.20 192.168.12.2',
  ]);
  t.equal(await lookUpVl3(store, 7, ip('10.4.4.10')), null);
  await log('192.168.12.1');
  await put(nic(10, CN_B, 20), nic(10, CN_B, 20));
  t.deepEqual(await log('192.168.12.1'), [], 'no change, no shootdown');
  t.deepEqual(await events(), []);
});

test('a NIC that SVP need not know about writes nothing', async (t) => {
  const { ctx } = await scene(t);
  const none = { requests: [], events: [] };
  const { cn_uuid, ...withoutNode } = nic(10, CN_A);
  const { ipaddr, ...withoutAddress } = nic(10, CN_A);
  const other = { ...nic(10, CN_A), belongs_to_type: 'server' };
  for (const after of [withoutNode, withoutAddress, other]) {
    const change = { before: null, after, network: NETWORK };
    t.deepEqual(await overlayChanges(ctx, change), none);
  }
  const flat = { vlan_id: 0 };
  const change = { before: null, after: nic(10, CN_A), network: flat };
  t.deepEqual(await overlayChanges(ctx, change), none, 'not a fabric');
  t.ok(cn_uuid && ipaddr);
});

test('routers move by VL2 alone, all in one batch', async (t) => {
  const { store, ctx, put, write, log, events } = await scene(t);
  const zone = (uuid: string, address: string) =>
    zoneUnderlayChanges(ctx, { uuid, ip: address, port: 4789 });
  await write(zone(ZONE_1, '192.168.12.6'), zone(ZONE_2, '192.168.12.7'));
  await put(null, nic(10, CN_A));
  const move = (n: number, to: string | null, from: string | null) => ({
    network: { vnet_id: 7, vlan_id: 2, gateway: `10.4.${n}.1` },
    router_mac: ROUTER,
    zone_uuid: to,
    previous_zone_uuid: from,
  });
  await write(routerChanges(ctx, move(4, ZONE_1, null)));
  await write(routerChanges(ctx, move(5, ZONE_1, null)));
  t.deepEqual(await log('192.168.12.1'), ['vl3 1 vlan 2', 'vl3 1 vlan 2']);
  await events();
  const moves = [move(4, ZONE_2, ZONE_1), move(5, ZONE_2, ZONE_1)];
  await write(routersChanges(ctx, moves));
  const now = await lookUpVl3(store, 7, ip('10.4.5.1'));
  t.deepEqual(now, {
    ip: ip('192.168.12.7'),
    port: 4789,
    mac: parseMac(ROUTER),
  });
  const vl2 = 'vl2 90b8d0000001';
  t.deepEqual(await log('192.168.12.1'), [vl2, vl2]);
  t.ok((await log('192.168.12.6')).includes(vl2), 'the old zone is told too');
  t.deepEqual(await events(), [
    'put 7,10.4.4.1 192.168.12.7',
    'put 7,10.4.5.1 192.168.12.7',
  ]);
  await write(routerChanges(ctx, move(4, null, ZONE_2)));
  t.equal(await lookUpVl3(store, 7, ip('10.4.4.1')), null, 'released');
  t.deepEqual(await events(), ['delete 7,10.4.4.1 null']);
});

test('a move is refused when a node joined meanwhile', async (t) => {
  const { store, ctx, put, write, log } = await scene(t);
  const move = (to: string, from: string | null) =>
    routerChanges(ctx, {
      network: { vnet_id: 7, vlan_id: 2, gateway: '10.4.4.1' },
      router_mac: ROUTER,
      zone_uuid: to,
      previous_zone_uuid: from,
    });
  await write(move(ZONE_1, null));
  const early = await move(ZONE_2, ZONE_1);
  await put(null, nic(10, CN_A));
  try {
    await store.batch(early.requests, early.events);
    t.fail('the node that joined would not be told');
  } catch (error) {
    t.equal((error as Error).name, 'EtagConflictError');
  }
  await log('192.168.12.1');
  await write(move(ZONE_2, ZONE_1));
  t.deepEqual(await log('192.168.12.1'), ['vl2 90b8d0000001'], 'it is told');

  const [one, two] = [await move(ZONE_1, ZONE_2), await move(ZONE_2, ZONE_1)];
  await store.batch(one.requests, one.events);
  await store.batch(two.requests, two.events);
  t.pass("moves alone do not get in each other's way");
  await put(null, nic(11, CN_A));
  await store.batch(one.requests.slice(0, 1));
  t.pass('nor does another NIC of a node that is there');
});

test('an endpoint that moves takes its mappings along', async (t) => {
  const { store, ctx, put, write, underlay, log, events } = await scene(t);
  await put(null, nic(10, CN_A));
  await put(null, nic(11, CN_A));
  await put(null, nic(12, CN_B));
  await log('192.168.12.2');
  await events();
  await write(underlay(CN_A, '192.168.12.100', true));
  t.deepEqual((await log('192.168.12.2')).sort(), [
    'vl2 90b8d000010a',
    'vl2 90b8d000010b',
  ]);
  t.deepEqual((await events()).sort(), [
    'put 7,10.4.4.10 192.168.12.100',
    'put 7,10.4.4.11 192.168.12.100',
  ]);
  const same = await underlay(CN_A, '192.168.12.100', true);
  t.deepEqual(same, { requests: [], events: [] }, 'unchanged');
  await write(underlay(CN_A, null, true));
  t.equal(await lookUpVl3(store, 7, ip('10.4.4.10')), null, 'no endpoint');
  t.equal((await listMappings(store, { limit: 10, offset: 0 })).length, 1);
  const gone = zoneUnderlayChanges(ctx, { uuid: ZONE_1, removed: true });
  t.deepEqual(await gone, { requests: [], events: [] }, 'was never there');
});

test('the log keeps its order and to its size', async (t) => {
  const { store, put } = await scene(t);
  await put(null, nic(1, CN_A));
  for (let n = 2; n < 60; n++) await put(null, nic(n, CN_B));
  const node = ip('192.168.12.1');
  const first = (await readLog(store, node, 1024)) ?? [];
  t.equal(first.length, 23, '23 VL3 records fit 1024 bytes');
  t.deepEqual(
    first.map((record) => (record.type === 'vl3' ? record.ip & 255 : 0)),
    Array.from({ length: 23 }, (_, i) => i + 2),
    'oldest first',
  );
  t.deepEqual(await readLog(store, node, 4), []);
  t.deepEqual(await readLog(store, node, 0), []);
  t.equal(await readLog(store, ip('9.9.9.9'), 1024), null, 'nobody');
  const [one, two] = first.map((record) => record.id);
  await removeLog(store, [one ?? '', one ?? '']);
  await removeLog(store, [one ?? '', two ?? '']);
  const rest = (await readLog(store, node, 1024)) ?? [];
  t.equal(rest[0]?.id, first[2]?.id, 'both are gone, the rest is not');
});
