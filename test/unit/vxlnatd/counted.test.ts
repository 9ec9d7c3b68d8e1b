// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the engine counts, on /counts, /hot, /metrics and in `top`. */

import test from 'tape';
import { silentLogger } from '#lib/service/log.js';
import { FakeEngine } from '#test/fake-engine.js';
import { manualClock } from '#test/manual-clock.js';
import {
  compare,
  type Look,
  short,
  writeTop,
} from '../../../services/vxlnatd/adm/top.js';
import {
  EVENTS_ROOM,
  FlowEventReader,
  natEvents,
} from '../../../services/vxlnatd/look/flow-events.js';
import { Hottest, PoolWatch } from '../../../services/vxlnatd/look/hottest.js';
import type { NatEvent } from '../../../services/vxlnatd/nat-log/event.js';
import { setUp } from './admin-world.js';

function counted(packets: number, created: number) {
  return {
    flows: 5,
    opening: 1,
    high_water: 9,
    created,
    expired: 2,
    packets_out: packets,
    bytes_out: packets * 100,
    packets_in: packets / 2,
    bytes_in: packets * 50,
  };
}

function counts(packets: number, created: number, drops: number) {
  return {
    vnets: [
      { vnet: 1, drops: { NoRule: drops }, ...counted(packets, created) },
      { vnet: 2, drops: {}, ...counted(10, 1) },
    ],
    publics: [
      { ip: '3.3.3.2', vnet: null, ...counted(packets, created) },
      { ip: '3.3.3.5', vnet: 1, ...counted(0, 0) },
    ],
  };
}

test('/metrics has vnets, public IPs, refusals and the hottest remote', async (t) => {
  const { http, engine } = await setUp(t);
  engine.countsList = counts(100, 7, 3);
  engine.dropList = [
    { name: 'PortExhausted', sentence: 'x', count: 4 },
    { name: 'NoFlow', sentence: 'y', count: 5 },
  ];
  engine.hotList = [
    {
      public_ip: '3.3.3.2',
      remote_ip: '192.0.2.1',
      remote_port: 443,
      proto: 6,
      flows: 32_256,
    },
  ];
  const text = await (await fetch(`${http.url}/metrics`)).text();
  for (const line of [
    'vxlnatd_vnet_packets_total{vnet="1",direction="out"} 100',
    'vxlnatd_vnet_bytes_total{vnet="1",direction="in"} 5000',
    'vxlnatd_vnet_flows{vnet="1"} 5',
    'vxlnatd_vnet_flows_created_total{vnet="1"} 7',
    'vxlnatd_vnet_flows_high_water{vnet="2"} 9',
    'vxlnatd_vnet_drops_total{vnet="1",reason="NoRule"} 3',
    'vxlnatd_public_bytes_total{public_ip="3.3.3.2",direction="out"} 10000',
    'vxlnatd_allocation_failures_total{reason="PortExhausted"} 4',
    'vxlnatd_public_hottest_ratio{public_ip="3.3.3.2"} 0.5',
    'vxlnatd_engine_max_flows 1048576',
  ]) {
    t.ok(text.split('\n').includes(line), line);
  }
  t.notOk(text.includes('allocation_failures_total{reason="NoFlow"}'));
  const bad = text
    .trimEnd()
    .split('\n')
    .filter(
      (line) =>
        !/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[\w.-]+"(,\w+="\w+")*\})? -?\d+(\.\d+)?)$/.test(
          line,
        ),
    );
  t.deepEqual(bad, [], 'well-formed');
  const hot = await (await fetch(`${http.url}/hot?most=1`)).json();
  t.equal((hot as { flows: number }[])[0]?.flows, 32_256);
  t.equal((await fetch(`${http.url}/hot?most=0`)).status, 422);
  const body = (await (await fetch(`${http.url}/counts`)).json()) as {
    publics: unknown[];
  };
  t.equal(body.publics.length, 2);
});

test('top shows rates, the busiest first', (t) => {
  const look = (at: number, packets: number, drops: number): Look => ({
    at,
    counts: counts(packets, packets / 10, drops),
    drops: [
      { name: 'NoRule', sentence: 'No rule.', count: drops },
      { name: 'TooBig', sentence: 'Too big.', count: 50 },
    ],
    hot: [
      {
        public_ip: '3.3.3.2',
        remote_ip: '192.0.2.1',
        remote_port: 443,
        proto: 6,
        flows: 31,
      },
    ],
    engine: { flows: 5, drops },
  });
  const top = compare(look(1000, 100, 1), look(3000, 500, 9));
  t.equal(top.packets_out, 200);
  t.equal(top.drops, 4);
  t.deepEqual(
    top.vnets.map((v) => [
      v.name,
      v.packets_out,
      v.bits_in,
      v.new_flows,
      v.drops,
    ]),
    [
      ['1', 200, 80_000, 20, 4],
      ['2', 0, 0, 0, 0],
    ],
  );
  t.deepEqual(
    top.reasons.map((r) => [r.name, r.rate]),
    [['NoRule', 4]],
    'only what happened',
  );
  t.deepEqual(
    top.publics.map((p) => p.hottest?.flows ?? null),
    [31, null],
  );
  t.match(writeTop(top, 9), /^ *3\.3\.3\.2 .* 31 +tcp 192\.0\.2\.1:443$/m);
  const again = compare(look(3000, 500, 9), look(4000, 30, 9));
  t.equal(again.vnets[0]?.packets_out, 30, 'a counter that began anew');
  t.deepEqual([999, 1000, 123_456, 1_500_000].map(short), [
    '999',
    '1.0k',
    '123k',
    '1.5M',
  ]);
  t.end();
});

test('vxlnatadm top draws, and once when asked', async (t) => {
  const { adm, engine, screen } = await setUp(t);
  engine.countsList = counts(100, 7, 3);
  const once = await adm('top', '--once');
  t.equal(once.status, 0, once.stderr);
  t.equal(screen.length, 1);
  t.ok(/^ *VNET +FLOWS/m.test(screen[0] as string), screen[0]);
  t.ok(screen[0]?.includes('3.3.3.2'));
  await adm('top', '-j', '--once');
  t.equal(JSON.parse(screen[1] as string).vnets.length, 2);
});

/** One FlowEvent, as engine/events.h lays it out. */
function record(kind: number, time: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeBigUInt64LE(BigInt(time), 0);
  bytes.writeUInt32LE(42, 24);
  bytes.writeUInt32LE(0x0a040405, 28);
  bytes.writeUInt32LE(0x03030302, 32);
  bytes.writeUInt32LE(0xc0000201, 36);
  bytes.writeUInt16LE(1000, 40);
  bytes.writeUInt16LE(2000, 42);
  bytes.writeUInt16LE(80, 46);
  bytes[48] = kind;
  bytes[49] = 6;
  bytes[50] = 0xff;
  return bytes;
}

test('the hot remotes are looked for once in ten seconds', async (t) => {
  const engine = new FakeEngine();
  const clock = manualClock();
  const hottest = new Hottest(engine, clock);
  const remote = { remote_ip: '192.0.2.1', remote_port: 443, proto: 6 };
  engine.hotList = [9, 8, 7].map((flows) => ({
    public_ip: flows === 7 ? '3.3.3.3' : '3.3.3.2',
    ...remote,
    flows,
  }));
  const flows = async (most: number) =>
    (await hottest.list(most)).map((each) => each.flows);
  t.deepEqual(await flows(1), [9, 7], 'one of each public IP');
  engine.hotList = [];
  t.deepEqual(await flows(2), [9, 8, 7], 'those asked at once share a walk');
  clock.advance(10_000);
  t.deepEqual(await flows(1), []);
});

test('it is told when ports run out, once, and when that is over', async (t) => {
  const engine = new FakeEngine();
  const clock = manualClock();
  const told: NatEvent[] = [];
  const pools = new PoolWatch(new Hottest(engine, clock), 1000, (events) =>
    told.push(...events),
  );
  const remote = { remote_ip: '192.0.2.1', remote_port: 443, proto: 6 };
  const stop = pools.start(clock, silentLogger());
  for (const flows of [699, 700, 999, 650, 700, 599, 0]) {
    engine.hotList = [{ public_ip: '3.3.3.2', ...remote, flows }];
    clock.advance(60_000);
    await new Promise(setImmediate);
  }
  stop();
  t.deepEqual(
    told.map((e) => [e.event, e.detail, e.limit, e.public_ip]),
    [
      ['threshold', 1, 700, 0x03030302],
      ['threshold', 2, 600, 0x03030302],
    ],
  );
});

test('records of the engine become NAT events', (t) => {
  const data = new Uint8Array(Buffer.concat([record(1, 5), record(2, 6)]));
  const events = natEvents(data.buffer, 1000, ['A', 'B']);
  t.deepEqual(
    events.map((e) => [e.event, e.time_ms]),
    [
      ['session_create', 1005],
      ['session_delete', 1006],
    ],
  );
  t.deepEqual(events[0], {
    time_ms: 1005,
    event: 'session_create',
    vnet: 42,
    proto: 6,
    private_ip: 0x0a040405,
    private_port: 1000,
    public_ip: 0x03030302,
    public_port: 2000,
    public_port_end: 0,
    remote_ip: 0xc0000201,
    remote_port: 80,
    detail: 0,
    limit: 0,
  });
  const quota = record(6, 7);
  quota[50] = 1;
  quota[51] = 3;
  quota.writeUInt32LE(500, 52);
  const [told] = natEvents(new Uint8Array(quota).buffer, 0, ['A', 'B']);
  t.deepEqual(
    [told?.event, told?.detail, told?.limit, told?.reason],
    ['quota_exceeded', 3, 500, 'B'],
  );
  t.end();
});

test('the log of flows is on from start to stop', async (t) => {
  const engine = new FakeEngine();
  const clock = manualClock();
  const written: NatEvent[] = [];
  const reader = new FlowEventReader(
    engine,
    clock,
    silentLogger(),
    (events) => {
      written.push(...events);
    },
  );
  await reader.start();
  t.equal(engine.eventsRoom, EVENTS_ROOM);
  const read = (time: number, lost: number) => ({
    data: new Uint8Array(record(1, time)).buffer,
    now_ms: time,
    lost,
  });
  engine.eventReads = [read(5, 0)];
  await clock.advanceAsync(100);
  t.equal(written.length, 1);
  t.equal(written[0]?.time_ms, clock.now(), 'the time of day');
  engine.eventReads = [read(6, 3)];
  await reader.stop();
  t.equal(written.length, 2, 'the rest is not forgotten');
  t.equal(reader.lost, 3);
  t.equal(engine.eventsRoom, 0);
});
