// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: SmartOS' own varpd. Each gotcha of the protocol (facts:
 * svp-portolan-vxlnat 1.4) over TCP, against rows in a store, by a varpd that
 * resets its connection for whatever the real one does.
 */

import { connect } from 'node:net';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { formatMapped, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { mac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { createSvpClient, SvpUnavailableError } from '#lib/svp/client.js';
import { encodeMessage } from '#lib/svp/codec.js';
import { levelStore } from '#test/tmp-store.js';
import { Varpd } from '#test/varpd.js';
import { createSvpService } from '../../../services/napi-nat/svp/service.js';
import {
  EVENT_BUCKET,
  OVERLAY_BUCKET,
  UNDERLAY_BUCKET,
  ul3Buckets,
} from '../../../services/napi-nat/ul3/records.js';

const VNET = 7757106;
const MAC = '90b8d0d6266e';
const [NODE, OTHER] = ['192.168.12.1', '192.168.12.6'];
const log = silentLogger();

function v6(ip: string): string {
  return formatMapped(parseIpv4(ip) ?? ipv4(0));
}

/** A store that serves 10.4.5.1 at `OTHER`, and a varpd at `NODE`. */
async function scene(t: Test) {
  const store = await levelStore(t);
  for (const [name, config] of Object.entries(ul3Buckets)) {
    await store.putBucket(name, config);
  }
  let ids = 0;
  const node = (cn_uuid: string, ip: string) =>
    store.putObject(UNDERLAY_BUCKET, cn_uuid, {
      cn_uuid,
      ip: v6(ip),
      port: 4789,
    });
  const shootdown = (cn_uuid: string, record: object) =>
    store.putObject(
      EVENT_BUCKET,
      `de305d54-75b4-431b-adb2-${String(++ids).padStart(12, '0')}`,
      { cn_uuid, vnet_id: VNET, version: 1, record },
    );
  await node('cn-a', NODE);
  await node('cn-b', OTHER);
  await store.putObject(OVERLAY_BUCKET, `${v6('10.4.5.1')},${VNET}`, {
    mac: Number.parseInt(MAC, 16),
    ip: v6('10.4.5.1'),
    cn_uuid: 'cn-b',
    vnet_id: VNET,
    version: 1,
    deleted: false,
  });
  const config = { svp: { host: '127.0.0.1', port: 0 } };
  const service = createSvpService({ store, log, config });
  const at = await service.listen();
  t.teardown(() => service.close());
  const varpd = async (ul3: string) => {
    const made = new Varpd(at, ul3);
    await made.connect();
    t.teardown(() => made.cut());
    return made;
  };
  return {
    store,
    service,
    at,
    node,
    shootdown,
    varpd: await varpd(NODE),
    more: varpd,
  };
}

const VL2 = { type: 'SVP_LOG_VL2', mac: 5, vnet_id: VNET };
const VL3 = {
  type: 'SVP_LOG_VL3',
  ip: v6('10.4.5.1'),
  mac: 5,
  vlan: 2,
  vnet_id: VNET,
};

test('G1: a VL3 record is looked up with type 2 and found', async (t) => {
  const { shootdown, varpd } = await scene(t);
  await shootdown('cn-a', VL3);
  t.equal(await varpd.round(), 1);
  t.deepEqual(varpd.arps, [`${VNET} 10.4.5.1 ${MAC}`], 'instances are told');
  t.equal(varpd.cache.get(`${VNET} ${MAC}`), `${OTHER}:4789`);
  for (const type of [0, 1, 2, 3, 0xffffffff]) {
    const { status } = await varpd.vl3(VNET, '10.4.5.1', type);
    t.equal(status, 0, `type ${type} is not looked at`);
  }
  t.deepEqual(varpd.resets, []);
});

test('G2: the status of a VL2 answer is its first 16 bits', async (t) => {
  const { varpd } = await scene(t);
  t.equal(await varpd.vl2(VNET, MAC), `${OTHER}:4789`);
  const body = Buffer.alloc(12);
  body.writeUInt32BE(VNET, 8);
  const answer = await varpd.ask(3, body);
  t.equal(answer.toString('hex'), `0002${'00'.repeat(18)}`, 'not found');
});

test('G3: a LOG_ACK with its status fits what the node has room for', async (t) => {
  const { shootdown, varpd } = await scene(t);
  for (let i = 0; i < 60; i++) {
    await shootdown('cn-a', i % 3 === 0 ? VL3 : VL2);
  }
  const whole = [44, 32, 32];
  let most = 0;
  for (let room = 0; room <= 1024; room += 8) {
    const body = Buffer.alloc(20);
    body.writeUInt32BE(room, 0);
    Buffer.from(v6mapped(NODE)).copy(body, 4);
    const { length } = await varpd.ask(9, body);
    if (length > Math.max(room, 4)) t.fail(`${length} bytes for ${room}`);
    let left = length - 4;
    for (let i = 0; left > 0; i++) left -= whole[i % 3] as number;
    if (left !== 0) t.fail(`half a record at ${room}`);
    most = Math.max(most, length);
  }
  t.ok(most > 1024 - 44, `${most} of 1024 bytes are used`);
  for (let left = 60; left > 0; ) left -= await varpd.round();
  t.equal(await varpd.round(), 0, 'all came, a buffer at a time');
  t.deepEqual(varpd.resets, []);
});

function v6mapped(ip: string): number[] {
  return [...Array(10).fill(0), 255, 255, ...ip.split('.').map(Number)];
}

test('G4: who sends no PING gets answers of versions, ops and sizes it knows', async (t) => {
  const { shootdown, store, varpd, more } = await scene(t);
  await shootdown('cn-a', VL2);
  t.equal((await varpd.vl3(VNET, '10.9.9.9')).status, 2);
  t.equal(await varpd.vl2(1, MAC), null);
  t.equal(await varpd.round(), 1);
  const removal = Buffer.alloc(20, 7);
  removal.writeUInt32BE(1);
  t.equal((await varpd.ask(11, removal)).readUInt32BE(0), 0, 'gone is gone');
  const stranger = await more('192.168.12.99');
  t.deepEqual(await stranger.act(), []);
  await store.close();
  const statuses = await Promise.all([
    varpd.ask(3, Buffer.alloc(12)).then((body) => body.readUInt16BE(0)),
    varpd.vl3(VNET, '10.4.5.1').then(({ status }) => status),
    varpd.ask(9, Buffer.alloc(20)).then((body) => body.readUInt32BE(0)),
    varpd.ask(11, removal).then((body) => body.readUInt32BE(0)),
  ]);
  t.deepEqual(statuses, [1, 1, 2, 1], 'FATAL when the store is lost');
  t.deepEqual([...varpd.resets, ...stranger.resets], [], 'nothing is refused');
});

test('G5: a record that version 1 has not is never sent, and hides none', async (t) => {
  const { shootdown, varpd } = await scene(t);
  const route = { type: 'SVP_LOG_ROUTE', vnet_id: VNET, src_vnet_id: VNET };
  for (let i = 0; i < 40; i++) await shootdown('cn-a', route);
  await shootdown('cn-a', { ...VL3, ip: 'no address' });
  await shootdown('cn-a', VL2);
  varpd.cache.set(`${VNET} ${'0'.repeat(11)}5`, 'stale');
  t.equal(await varpd.round(), 1, 'the one behind them');
  t.equal(varpd.cache.size, 0, 'was acted on');
  t.deepEqual(varpd.resets, []);
});

test('G6: what portolan does wrong is not done here', async (t) => {
  const { at, node, service, shootdown, varpd, more } = await scene(t);
  const closed = (bytes: Buffer) =>
    new Promise<boolean>((resolve) => {
      const socket = connect(at);
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(true));
      socket.on('data', () => resolve(false));
      socket.write(bytes);
      t.teardown(() => socket.destroy());
    });
  const crc = encodeMessage(1, { op: 'ping' });
  crc.writeUInt32BE(1, 12);
  t.ok(await closed(crc), 'a wrong CRC ends the connection');
  const bulk = encodeMessage(1, { op: 'bulk_req', type: 1 });
  t.notOk(await closed(bulk), 'BULK is answered');
  const shot = await varpd.ask(13, Buffer.alloc(12)).catch((e: Error) => e);
  t.ok(shot instanceof Error, 'SHOOTDOWN ends its own connection');
  const again = await more(NODE);
  t.equal(await again.vl2(VNET, MAC), `${OTHER}:4789`, 'the server is there');
  const body = Buffer.alloc(20);
  body.writeUInt32BE(1024, 0);
  Buffer.from(v6mapped('192.168.12.77')).copy(body, 4);
  const unknown = await again.ask(9, body);
  t.equal(unknown.readUInt32BE(0), 2, 'an unknown node is not found');
  await node('cn-twin', NODE);
  await shootdown('cn-a', VL2);
  await shootdown('cn-twin', VL2);
  t.equal(await again.round(), 2, 'an address of two rows has both logs');
  t.equal(service.counters().fatal, 0);
});

test('G7: without a connection nothing is known, least of all "not found"', async (t) => {
  const { at, service, varpd } = await scene(t);
  // Waiting alone does not keep the process.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const timeouts = { query_ms: 100, reconnect_ms: [10] };
  const client = createSvpClient({
    ...at,
    clock: systemClock(),
    log,
    timeouts,
  });
  t.teardown(() => client.close());
  await client.ping();
  await service.close();
  for (const ask of [
    () => client.vl2(VNET, mac(Number.parseInt(MAC, 16))),
    () => client.vl3(VNET, ipv4(1)),
    () => client.logRequest(ipv4(1)),
    () => client.logRemove([]),
  ]) {
    const said: unknown = await ask().catch((error: unknown) => error);
    t.ok(said instanceof SvpUnavailableError, `${ask}: ${String(said)}`);
  }
  const drop = await varpd.vl3(VNET, '10.4.5.1').catch((e: Error) => e.message);
  t.equal(drop, 'FATAL', "varpd's own view");
});
