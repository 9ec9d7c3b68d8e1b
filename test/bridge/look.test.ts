// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Looking into a real engine across the bridge: datagrams sent to its socket
 * are told, copied, counted and logged. Needs root, for the TUN device.
 */

import { createSocket } from 'node:dgram';
import test from 'tape';
import { type TapSpecDto, VxlNat } from '#native/index.js';

const root = process.getuid?.() === 0;
const PORT = 23_000 + (process.pid % 20_000);
const TUN = `vxk${process.pid % 20_000}`;

const SPEC: TapSpecDto = {
  filter: {
    vnet: null,
    private_ip: null,
    public_ip: null,
    remote_ip: null,
    proto: null,
    port: null,
  },
  direction: null,
  drop: null,
  points: [],
  snap: 65_535,
  packets: 100,
  lifetime_ms: 60_000,
  room: 1 << 20,
};

/** A UDP datagram of 10.0.0.5 in vnet 7, from the VXLAN header on. */
function datagram(): Buffer {
  return Buffer.from(
    '0800000000000700' +
      '90b8d000000190b8d00000aa0800' +
      '450000201234400040115c930a000005c0000201' +
      '04d20035000c0000' +
      '74657374',
    'hex',
  );
}

/** Sends to the engine until it has taken `wanted` datagrams. */
async function send(engine: VxlNat, wanted: number): Promise<void> {
  const socket = createSocket('udp4');
  const taken = () => engine.stats().rx_underlay_packets;
  const goal = taken() + wanted;
  for (let i = 0; i < wanted; i++) socket.send(datagram(), PORT, '127.0.0.1');
  for (let i = 0; i < 500 && taken() < goal; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  socket.close();
}

test('a real engine is looked into', {
  skip: !root && 'needs root',
}, async (t) => {
  const engine = VxlNat.open(
    { vxlan_port: PORT, max_flows: 1024 },
    { tun_name: TUN },
    () => {},
  );
  t.teardown(() => engine.close());
  const results = await engine.apply([
    {
      op: 'set_rule',
      vnet: 7,
      vlan: 0,
      prefix: '10.0.0.0/24',
      router_ip: '10.0.0.1',
      router_mac: '90:b8:d0:00:00:01',
      public_ip: '192.0.2.77',
    },
    // Packets are taken only from the node where their sender lives.
    {
      op: 'set_remote',
      vnet: 7,
      ip: '10.0.0.5',
      mac: '90:b8:d0:00:00:aa',
      ul3_ip: '127.0.0.1',
      ul3_port: PORT,
    },
  ]);
  t.equal(results[0]?.error, null);

  const answer = JSON.parse(
    await engine.explain({
      direction: 'out',
      vnet: 7,
      src: '10.0.0.5',
      dst: '192.0.2.1',
      sport: 1234,
      dport: 53,
      proto: 17,
      tcp_flags: 0,
      icmp_type: 8,
      ttl: 64,
      size: 64,
    }),
  );
  t.equal(answer.verdict, 'sent');
  t.equal(engine.stats().flows, 0, 'a question makes no flow');

  await engine.openEvents(1024);
  const stories = await engine.openTap(SPEC);
  const copies = await engine.openTap({ ...SPEC, points: ['translated'] });
  await send(engine, 2);
  const told = await stories.read();
  const lines = Buffer.from(told.data).toString().trimEnd().split('\n');
  t.equal(told.seen, 2);
  const story = JSON.parse(lines[0] as string);
  t.equal(story.verdict, 'sent', lines[0]);
  const stages = story.steps.map((step: { stage: string }) => step.stage);
  t.deepEqual(stages.slice(0, 4), ['decap', 'find_vnet', 'parse', 'look_up']);
  const copied = await copies.read();
  t.equal(copied.data.byteLength, 2 * (32 + 48), 'two frames with their heads');
  await stories.close();
  await stories.close();
  await copies.close();

  const counts = await engine.counts();
  t.equal(counts.vnets[0]?.packets_out, 2);
  t.equal(counts.vnets[0]?.bytes_out, 64);
  t.equal(counts.publics[0]?.ip, '192.0.2.77');
  t.equal(counts.publics[0]?.flows, 1);
  const hot = await engine.hot(10);
  t.equal(hot.length, 1);
  t.equal(hot[0]?.remote_port, 53);
  const events = await engine.readEvents(100);
  t.equal(events.data.byteLength, 64, 'one flow began');
  const flows = await engine.flows({ port: 1234, proto: 17 });
  t.equal(flows.flows.length, 1);
  t.equal((await engine.flows({ port: 1 })).flows.length, 0);
});
