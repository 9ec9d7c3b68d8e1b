// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a router that fails over while nodes keep its old place.
 * The whole way over TCP: rows in a store, napi-nat's SVP service, a node's
 * client and shootdown loop, and a node that is away while it happens.
 */

import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { parseMac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { openLevelStore } from '#lib/store/open.js';
import { createSvpClient } from '#lib/svp/client.js';
import { createLogLoop } from '#lib/svp/log-loop.js';
import { temporaryDirectory } from '#test/tmp.js';
import { ul3Context } from '#test/ul3-store.js';
import type { Changes } from '../../services/napi-nat/commit.js';
import { createSvpService } from '../../services/napi-nat/svp/service.js';
import {
  overlayChanges,
  routersChanges,
  underlayChanges,
  zoneUnderlayChanges,
} from '../../services/napi-nat/ul3/rows.js';

const FABRICS = 40;
const NODE = { uuid: 'cn-a', ip: parseIpv4('192.168.12.1') ?? (0 as never) };
const ROUTER = '90:b8:d0:00:00:01';
const ROUTER_MAC = parseMac(ROUTER) ?? (0 as never);
const clock = systemClock();
const log = silentLogger();
const GATEWAY = parseIpv4('10.0.0.1') ?? (0 as never);

async function scene(t: Test) {
  const store = await openLevelStore(temporaryDirectory(t), { clock });
  const ctx = await ul3Context(store);
  const write = async (changes: Changes) =>
    store.batch(changes.requests, changes.events);
  for (const [zone, ip] of [
    ['zone-1', '192.168.12.6'],
    ['zone-2', '192.168.12.7'],
  ] as const) {
    await write(await zoneUnderlayChanges(ctx, { uuid: zone, ip, port: 4789 }));
  }
  const nic = (type: string, mac: number, ip: string) => ({
    mac,
    ipaddr: ip,
    belongs_to_type: type,
    belongs_to_uuid: NODE.uuid,
    cn_uuid: NODE.uuid,
    underlay: type === 'server',
  });
  const after = nic('server', 1, '192.168.12.1');
  await write(await underlayChanges(ctx, { before: null, after }));
  for (let vnet = 1; vnet <= FABRICS; vnet++) {
    const instance = nic('zone', 1000 + vnet, '10.0.0.10');
    const network = { fabric: true, vnet_id: vnet, vlan_id: 0 };
    await write(
      await overlayChanges(ctx, { before: null, after: instance, network }),
    );
  }
  const routers = async (to: string, from: string | null) =>
    write(
      await routersChanges(
        ctx,
        Array.from({ length: FABRICS }, (_, i) => ({
          network: { vnet_id: i + 1, vlan_id: 0, gateway: '10.0.0.1' },
          router_mac: ROUTER,
          zone_uuid: to,
          previous_zone_uuid: from,
        })),
      ),
    );
  await routers('zone-1', null);
  const config = { svp: { host: '127.0.0.1', port: 0 } };
  const service = createSvpService({ store, log, config });
  const { port } = await service.listen();
  const client = createSvpClient({ host: '127.0.0.1', port, clock, log });
  t.teardown(async () => {
    client.close();
    await service.close();
    await store.close();
  });
  return { client, routers, service };
}

test('a node hears of every router that moved, and finds it', async (t) => {
  const { client, routers, service } = await scene(t);
  const where = async (vnet: number) => (await client.vl3(vnet, GATEWAY))?.ip;
  const cached = new Map<number, number | undefined>();
  let looked = 0;
  const loop = createLogLoop({
    client,
    underlayIp: NODE.ip,
    clock,
    random: Math.random,
    log,
    idleMs: 10,
    jitterMs: 0,
    workMs: 0,
    onVl2: async (record) => {
      looked++;
      const at = await client.vl2(record.vnet, record.mac);
      cached.set(record.vnet, at?.ip);
    },
    onVl3: async (record) => {
      cached.set(record.vnet, await where(record.vnet));
    },
  });
  const all = (ip: string) =>
    cached.size === FABRICS &&
    [...cached.values()].every((at) => at === parseIpv4(ip));
  const until = async (what: () => boolean) => {
    for (let i = 0; i < 500 && !what(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return what();
  };

  // The node is away while its routers are made, and hears of it later.
  loop.start();
  t.ok(await until(() => all('192.168.12.6')), 'what it missed came');
  await routers('zone-2', 'zone-1');
  t.equal(
    await where(1),
    parseIpv4('192.168.12.7'),
    'an answer after the batch is of the batch',
  );
  t.ok(await until(() => all('192.168.12.7')), 'every move came');
  t.ok(looked >= FABRICS, `${looked} VL2 records`);
  t.deepEqual(service.counters().protocol_errors, {}, 'nothing was refused');
  loop.stop();
  t.deepEqual(await client.logRequest(NODE.ip), [], 'the log is empty');
});

test('a shootdown that is not acknowledged comes again', async (t) => {
  const { client, routers } = await scene(t);
  const log = async () => (await client.logRequest(NODE.ip)) ?? [];
  const drain = async () => {
    for (;;) {
      const records = await log();
      if (records.length === 0) return;
      await client.logRemove(records.map((record) => record.id));
    }
  };
  await drain();
  await routers('zone-2', 'zone-1');
  const first = await log();
  const second = await log();
  t.equal(first.length, 31, 'as many as fit 1024 bytes');
  t.deepEqual(second, first);
  t.ok(
    first.every((one) => one.type === 'vl2' && one.mac === ROUTER_MAC),
    'by MAC: the MAC itself does not change',
  );
  await client.logRemove(first.map((record) => record.id));
  const rest = await log();
  t.equal(rest.length, FABRICS - 31);
});
