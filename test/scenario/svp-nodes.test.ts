// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: of several compute nodes one takes another's shootdowns,
 * one that was away or cut off keeps an old place, or one is answered from
 * before the change that it was told of. Nodes are SmartOS varpds at two
 * napi-nats; with PostgreSQL these share nothing but the database.
 */

import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import type { Store } from '#lib/store/types.js';
import { freshAddress } from '#test/postgres.js';
import { ENGINES, type Engine, levelStore } from '#test/tmp-store.js';
import { ul3Context } from '#test/ul3-store.js';
import { Varpd } from '#test/varpd.js';
import type { Changes } from '../../services/napi-nat/commit.js';
import { createSvpService } from '../../services/napi-nat/svp/service.js';
import {
  overlayChanges,
  routersChanges,
  underlayChanges,
  zoneUnderlayChanges,
} from '../../services/napi-nat/ul3/rows.js';

const VNETS = 12;
const NODES = 4;
const ROUTER = '90:b8:d0:00:00:01';
const ROUTER_HEX = ROUTER.replaceAll(':', '');
const clock = systemClock();
const log = silentLogger();
const nodeIp = (n: number) => `192.168.12.${n}`;
const zoneAt = (n: number) => `192.168.13.${n}:4789`;

async function twoStores(t: Test, engine: Engine): Promise<[Store, Store]> {
  if (engine === 'level') {
    const store = await levelStore(t, clock);
    return [store, store];
  }
  const address = await freshAddress();
  const open = async () => {
    const store = await openPostgresStore(address, { clock });
    t.teardown(() => store.close());
    return store;
  };
  return [await open(), await open()];
}

/** Every node has an instance in every vnet; the routers are in zone 1. */
async function scene(t: Test, engine: Engine) {
  const stores = await twoStores(t, engine);
  const [store] = stores;
  const ctx = await ul3Context(store);
  const write = ({ requests, events }: Changes) =>
    store.batch(requests, events);
  const nic = (type: string, cn: string, mac: number, ipaddr: string) => ({
    mac,
    ipaddr,
    belongs_to_type: type,
    belongs_to_uuid: type === 'server' ? cn : `vm-${mac}`,
    cn_uuid: cn,
    underlay: type === 'server',
  });
  for (let n = 1; n <= NODES; n++) {
    const after = nic('server', `cn-${n}`, n, nodeIp(n));
    await write(await underlayChanges(ctx, { before: null, after }));
    for (let vnet = 1; vnet <= VNETS; vnet++) {
      const network = { fabric: true, vnet_id: vnet, vlan_id: 2 };
      const mac = vnet * 100 + n;
      const instance = nic('zone', `cn-${n}`, mac, `10.0.0.${10 + n}`);
      const change = { before: null, after: instance, network };
      await write(await overlayChanges(ctx, change));
    }
  }
  let at = 0;
  /** All routers to the next zone, in one batch. */
  const move = async () => {
    const [from, to] = [`zone-${at}`, `zone-${at + 1}`];
    const ip = `192.168.13.${at + 1}`;
    await write(await zoneUnderlayChanges(ctx, { uuid: to, ip, port: 4789 }));
    const moves = Array.from({ length: VNETS }, (_, i) => ({
      network: { vnet_id: i + 1, vlan_id: 2, gateway: '10.0.0.1' },
      router_mac: ROUTER,
      zone_uuid: to,
      previous_zone_uuid: at === 0 ? null : from,
    }));
    await write(await routersChanges(ctx, moves));
    at += 1;
  };
  await move();
  const served = await Promise.all(
    stores.map(async (each) => {
      const config = { svp: { host: '127.0.0.1', port: 0 } };
      const service = createSvpService({ store: each, log, config });
      t.teardown(() => service.close());
      return service.listen();
    }),
  );
  /** The varpd of node `n` at one of the two. */
  const varpd = async (n: number, which: 0 | 1) => {
    const made = new Varpd(served[which] as (typeof served)[0], nodeIp(n));
    await made.connect();
    t.teardown(() => made.cut());
    return made;
  };
  return { move, zone: () => at, varpd };
}

/** Rounds until the log is empty; how many records there were. */
async function drain(node: Varpd): Promise<number> {
  for (let all = 0; ; ) {
    const removed = await node.round();
    if (removed === 0) return all;
    all += removed;
  }
}

/** Instances of every vnet send by their router. */
async function traffic(node: Varpd): Promise<void> {
  for (let vnet = 1; vnet <= VNETS; vnet++) {
    if (!node.cache.has(`${vnet} ${ROUTER_HEX}`)) {
      await node.vl2(vnet, ROUTER_HEX);
    }
  }
}

function routers(node: Varpd): string[] {
  const found = [...node.cache].filter(([key]) => key.endsWith(ROUTER_HEX));
  return [...new Set(found.map(([, at]) => at))];
}

for (const engine of ENGINES) {
  test(`${engine}: each node has its own log and acts on all of it`, async (t) => {
    const { move, varpd } = await scene(t, engine);
    const [a, b, away] = [
      await varpd(1, 0),
      await varpd(2, 1),
      await varpd(3, 0),
    ];
    let cut = await varpd(4, 1);
    const all = [a, b, away, cut];
    for (const node of all) {
      t.ok((await drain(node)) >= VNETS, 'it hears of the routers');
      await traffic(node);
      t.deepEqual(routers(node), [zoneAt(1)]);
    }
    away.cut();
    for (let i = 0; i < 3; i++) await move();
    t.deepEqual(await Promise.all([a, b].map(drain)), [36, 36], 'at once');
    const acted = await cut.act();
    t.equal(acted.length, 31);
    cut.cut();
    cut = await varpd(4, 0);
    t.equal(await drain(cut), 36, 'what was not removed came again');
    const back = await varpd(3, 1);
    for (const [key, at] of away.cache) back.cache.set(key, at);
    t.deepEqual(routers(back), [zoneAt(1)], 'it knows nothing yet');
    t.equal(await drain(back), 36, 'nobody removed what was for it');
    for (const node of [a, b, cut, back]) {
      await traffic(node);
      t.deepEqual(routers(node), [zoneAt(4)]);
      t.deepEqual(node.resets, []);
    }
  });

  test(`${engine}: no answer is older than the change before its question`, async (t) => {
    const { move, zone, varpd } = await scene(t, engine);
    const nodes = [];
    for (let n = 1; n <= NODES; n++) {
      nodes.push(await varpd(n, n % 2 === 0 ? 0 : 1));
    }
    let [moving, asked, shot] = [true, 0, 0];
    const stale: string[] = [];
    const ask = async (node: Varpd, vnet: number) => {
      const known = zone();
      const [vl2, vl3] = await Promise.all([
        node.vl2(vnet, ROUTER_HEX),
        node.vl3(vnet, '10.0.0.1'),
      ]);
      for (const at of [vl2, vl3.at]) {
        const n = Number(/\.(\d+):/.exec(at ?? '')?.[1]);
        if (!(n >= known)) stale.push(`${at} after zone ${known}`);
      }
      asked += 2;
    };
    const run = async (node: Varpd) => {
      for (let i = 0; moving; i++) {
        shot += await node.round();
        await ask(node, 1 + (i % 2));
      }
    };
    const running = nodes.map(run);
    for (let i = 0; i < 20; i++) {
      await move();
      await ask(nodes[i % NODES] as Varpd, 1 + (i % 2));
    }
    moving = false;
    await Promise.all(running);
    t.deepEqual(stale, []);
    t.ok(asked > 40, `${asked} look-ups`);
    t.ok(shot > 36, `${shot} shootdowns`);
    for (const node of nodes) {
      await drain(node);
      await traffic(node);
      t.deepEqual(routers(node), [zoneAt(21)]);
      t.deepEqual(node.resets, []);
    }
  });
}
