// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Looking into the engine: /trace, /pcap, /explain, flows kill, vxlnatadm. */

import test from 'tape';
import {
  pcapngHeader,
  pcapngPackets,
} from '../../../services/vxlnatd/look/pcapng.js';
import { setUp } from './admin-world.js';

function bytesOf(text: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(text)).buffer;
}

const STORY =
  '{"packet":7,"time_ms":1000,"direction":"in","bytes":60,"steps":[' +
  '{"stage":"parse","src":"192.0.2.1:80"},' +
  '{"stage":"choose_inbound","drop":"NoFlow"}],' +
  '"verdict":"dropped","drop":"NoFlow","why":"It belongs to no flow."}\n';

/** One FrameHead with its bytes, as the engine writes it. */
function frame(point: number, drop: number, bytes: number[]): Buffer {
  const head = Buffer.alloc(32);
  head.writeBigUInt64LE(5000n, 0);
  head.writeUInt32LE(bytes.length, 8);
  head.writeUInt32LE(bytes.length + 100, 12);
  head.writeUInt32LE(3, 16);
  head.writeUInt32LE(42, 20);
  head[24] = point;
  head[25] = 1;
  head[26] = drop;
  const whole = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
  whole.set(bytes);
  return Buffer.concat([head, whole]);
}

/** Blocks of a pcapng file; every length is checked. */
function blocks(file: Buffer): { type: number; body: Buffer }[] {
  const found = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 4);
    if (length % 4 !== 0 || file.readUInt32LE(at + length - 4) !== length) {
      throw new Error(`bad block at ${at}`);
    }
    const body = file.subarray(at + 8, at + length - 4);
    found.push({ type: file.readUInt32LE(at), body });
    at += length;
  }
  return found;
}

/** Options of a block from an offset on, by code. */
function options(body: Buffer, from: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = from; body.readUInt16LE(at) !== 0; ) {
    const length = body.readUInt16LE(at + 2);
    found.set(body.readUInt16LE(at), body.subarray(at + 4, at + 4 + length));
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return found;
}

test('a capture is a pcapng file with points as interfaces', (t) => {
  const names = blocks(pcapngHeader(128))
    .filter(({ type }) => type === 1)
    .map(({ body }) => {
      t.equal(body.readUInt16LE(0), 1, 'Ethernet');
      t.equal(body.readUInt32LE(4), 128, 'snap');
      return options(body, 8).get(2)?.toString();
    });
  t.deepEqual(names, ['outer', 'inner', 'translated', 'drop']);
  const data = Buffer.concat([
    frame(2, 0xff, [1, 2, 3, 4, 5]),
    frame(3, 1, [9]),
  ]);
  const reasons = [
    { name: 'a', sentence: 'A.' },
    { name: 'NoFlow', sentence: 'No flow.' },
  ];
  const file = pcapngPackets(
    new Uint8Array(data).buffer,
    1_700_000_000_000,
    reasons,
  );
  const [first, second] = blocks(file);
  t.equal(first?.type, 6);
  const body = first?.body as Buffer;
  t.equal(body.readUInt32LE(0), 2, 'translated');
  const time = body.readUInt32LE(4) * 2 ** 32 + body.readUInt32LE(8);
  t.equal(time, 1_700_000_005_000);
  t.equal(body.readUInt32LE(12), 5, 'captured');
  t.equal(body.readUInt32LE(16), 105, 'original');
  t.deepEqual([...body.subarray(20, 25)], [1, 2, 3, 4, 5]);
  t.equal(options(body, 28).get(1)?.toString(), 'packet 3, vnet 42');
  const dropped = second?.body as Buffer;
  t.equal(
    options(dropped, 24).get(1)?.toString(),
    'packet 3, vnet 42, NoFlow: No flow.',
  );
  t.end();
});

test('/trace streams stories with the time of day', async (t) => {
  const { http, engine, clock } = await setUp(t);
  const read = { data: bytesOf(STORY), now_ms: 1500, seen: 1, lost: 2 };
  engine.tapReads = [{ ...read, done: true }];
  const answer = await fetch(
    `${http.url}/trace?vnet=1&proto=6&port=80&direction=in&count=5&seconds=9`,
  );
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('content-type'), 'application/x-ndjson');
  const lines = (await answer.text()).trimEnd().split('\n');
  const story = JSON.parse(lines[0] as string);
  t.equal(story.time, new Date(clock.now() - 500).toISOString());
  t.equal(story.drop, 'NoFlow');
  t.deepEqual(JSON.parse(lines[1] as string), { lost: 2 });
  const [spec] = engine.taps;
  t.deepEqual(spec?.points, []);
  t.equal(spec?.filter.vnet, 1);
  t.equal(spec?.filter.port, 80);
  t.equal(spec?.direction, 'in');
  t.equal(spec?.packets, 5);
  t.equal(spec?.lifetime_ms, 9000);
  t.equal(engine.openTaps, 0, 'the tap is closed again');
});

test('a tap is closed when nobody listens any more', async (t) => {
  const { http, engine } = await setUp(t);
  const read = { data: bytesOf(STORY), now_ms: 1500, seen: 1, lost: 0 };
  engine.tapReads = [{ ...read, done: false }];
  const leaving = new AbortController();
  const answer = await fetch(`${http.url}/trace`, { signal: leaving.signal });
  const reader = answer.body?.getReader();
  await reader?.read();
  t.equal(engine.openTaps, 1);
  leaving.abort();
  await reader?.closed.catch(() => {});
  for (let i = 0; i < 200 && engine.openTaps > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.equal(engine.openTaps, 0);
});

test('bad questions and taps are refused with the field', async (t) => {
  const { http, engine } = await setUp(t);
  for (const [path, field] of [
    ['/trace?direction=up', 'direction'],
    ['/trace?drop=Nonsense', 'drop'],
    ['/trace?count=0', 'count'],
    ['/pcap?point=outer,nowhere', 'point'],
    ['/pcap?snap=0', 'snap'],
    ['/pcap?port=65536', 'port'],
    ['/explain?src=10.0.0.1&dst=192.0.2.1', 'proto'],
    ['/explain?src=x&dst=192.0.2.1&proto=6', 'src'],
    ['/explain?src=10.0.0.1&dst=192.0.2.1&proto=6&flags=Z', 'flags'],
  ] as const) {
    const answer = await fetch(`${http.url}${path}`);
    const body = (await answer.json()) as { errors: { field: string }[] };
    t.equal(answer.status, 422, path);
    t.ok(body.errors.flatMap((e) => e.field).includes(field), field);
  }
  t.equal(engine.taps.length + engine.questions.length, 0);
});

test('flows kill counts first and ends with --yes only', async (t) => {
  const { adm, engine, http } = await setUp(t);
  const before = engine.operations.length;
  const dry = await adm('flows', 'kill', '--vnet', '1');
  t.equal(dry.stdout, 'flows that match: 2; --yes ends them\n');
  t.equal(engine.operations.length, before, 'nothing was done');
  const wet = await adm('flows', 'kill', '--vnet', '1', '--yes');
  t.equal(wet.stdout, 'ended: 2\n');
  t.deepEqual(
    engine.operations.slice(before).map((each) => each.op),
    ['remove_flow', 'remove_flow'],
  );
  const all = await fetch(`${http.url}/flows/matching`, { method: 'DELETE' });
  t.equal(all.status, 422, 'not all by a slip');
  t.equal((await adm('flows', 'kil')).status, 2);
  const port = await adm('flows', '--port', '1003', '--proto', 'tcp');
  t.ok(port.stdout.includes(':1003') && !port.stdout.includes(':1001'));
});

test('vxlnatadm explains, traces, captures and watches', async (t) => {
  const { adm, engine, screen, files } = await setUp(t);
  const answer = await adm(
    ...['explain', '--vnet', '1', '--flags', 'SA'],
    ...['tcp', '10.4.5.1:1234', '192.0.2.1:80'],
  );
  t.ok(answer.stdout.includes('sent'), answer.stdout + answer.stderr);
  t.deepEqual(engine.questions, [
    {
      direction: 'out',
      vnet: 1,
      src: '10.4.5.1',
      dst: '192.0.2.1',
      sport: 1234,
      dport: 80,
      proto: 6,
      tcp_flags: 0x12,
      icmp_type: 8,
      ttl: 64,
      size: 64,
    },
  ]);
  t.equal((await adm('explain', 'tcp')).status, 2);
  const read = { data: bytesOf(STORY), now_ms: 1500, seen: 1, lost: 0 };
  engine.tapReads = [{ ...read, done: true }];
  t.equal((await adm('trace', '--vnet', '1')).status, 0);
  t.ok(screen.join('').includes('choose_inbound    drop NoFlow'));
  t.ok(screen.join('').includes('dropped: NoFlow. It belongs to no flow.'));
  const refused = await adm('trace', '--drop', 'Nonsense');
  t.equal(refused.status, 1);
  t.ok(refused.stderr.includes('drop: must be one of'));
  t.equal((await adm('pcap')).status, 2, 'a file must be named');
  const data = new Uint8Array(frame(3, 0, [1, 2, 3])).buffer;
  engine.tapReads = [{ ...read, data, done: true }];
  const pcap = await adm('pcap', '-w', 'out.pcapng', '--point', 'inner,drop');
  t.equal(pcap.status, 0, pcap.stderr);
  t.deepEqual(engine.taps.at(-1)?.points, ['inner', 'drop']);
  const file = Buffer.concat(files.get('out.pcapng') as Buffer[]);
  t.equal(blocks(file).length, 6, 'a section, four interfaces, a packet');
  screen.length = 0;
  await adm('flows', '--watch');
  t.equal(screen.length, 3, 'drawn until the user wants no more');
  t.ok(screen[0]?.startsWith('\x1b[H'), 'on a clear screen');
});
