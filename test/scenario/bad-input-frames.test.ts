// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Bytes that are no SVP and no changefeed, against a real napi-nat process:
 * each connection that sent them is ended, with a reason where the protocol
 * has one; the server answers on, and no other connection notices.
 */

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import test, { type Test } from 'tape';
import { WebSocket } from 'ws';
import { encodeMessage } from '#lib/svp/codec.js';
import { createFramer } from '#lib/svp/framer.js';
import { type SvpFrame, SvpOp } from '#lib/svp/messages.js';
import { seededRng, seedOfRun } from '#test/rng.js';
import { type BadInputWorld, startBadInputWorld } from './bad-input-world.js';

/** Far more than an answer takes; a wait this long is a failure. */
const PATIENCE_MS = 10_000;
const PING = encodeMessage(7, { op: 'ping' });

function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A raw connection, everything that came on it, and its end. */
function dial(t: Test, at: { host: string; port: number }) {
  const socket: Socket = connect({ ...at, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    wake();
  });
  socket.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    socket.on('end', resolve);
    socket.on('close', resolve);
  });
  t.teardown(() => socket.destroy());
  const received = () => Buffer.concat(chunks);
  return {
    socket,
    received,
    ended: () => within('end of the connection', ended),
    /** Resolves when what came suits. */
    until: (suits: (bytes: Buffer) => boolean) =>
      within(
        'answer',
        new Promise<void>((resolve) => {
          const look = () => {
            if (!suits(received())) return;
            waiting.delete(look);
            resolve();
          };
          waiting.add(look);
          look();
        }),
      ),
  };
}

function framesIn(bytes: Buffer): SvpFrame[] {
  return createFramer().push(bytes);
}

/** Changes header fields and leaves or breaks the CRC. */
function spoiled(at: number, value: number, bytes: 2 | 4): Buffer {
  const frame = Buffer.from(PING);
  frame.writeUIntBE(value, at, bytes);
  return frame;
}

/** A frame with a CRC that fits, whatever it says. */
function framed(op: number, body: Buffer): Buffer {
  const ping = encodeMessage(1, { op: 'ping' });
  const frame = Buffer.concat([ping, body]);
  frame.writeUInt16BE(op, 2);
  frame.writeUInt32BE(body.length, 4);
  frame.writeUInt32BE(0, 12);
  frame.writeUInt32BE(crc32(frame), 12);
  return frame;
}

const HELLO_TLS = Buffer.from('16030100c8010000c40303', 'hex');

function svpGarbage(rng: ReturnType<typeof seededRng>): [string, Buffer][] {
  const { bulk_req, log_req, log_rm, vl2_ack, vl2_req, vl3_req } = SvpOp;
  return [
    ['CRC 0', spoiled(12, 0, 4)],
    ['CRC off by one bit', spoiled(12, PING.readUInt32BE(12) ^ 1, 4)],
    ['version 0', spoiled(0, 0, 2)],
    ['operation 0', framed(0, Buffer.alloc(0))],
    ['operation 99', framed(99, Buffer.alloc(0))],
    ['operation 65535', framed(65535, Buffer.alloc(64))],
    ['a message of servers', framed(vl2_ack, Buffer.alloc(20))],
    ['a PING with a body', framed(SvpOp.ping, Buffer.alloc(4))],
    ['a short VL2', framed(vl2_req, Buffer.alloc(11))],
    ['a long VL2', framed(vl2_req, Buffer.alloc(13))],
    ['an empty VL3', framed(vl3_req, Buffer.alloc(0))],
    ['a short LOG_REQ', framed(log_req, Buffer.alloc(19))],
    ['a short BULK', framed(bulk_req, Buffer.alloc(3))],
    ['an empty LOG_RM', framed(log_rm, Buffer.alloc(0))],
    ['a LOG_RM that counts too many', framed(log_rm, Buffer.alloc(24, 0xff))],
    ['size 2^32-1', spoiled(4, 0xffffffff, 4)],
    ['size 16 MiB', spoiled(4, 1 << 24, 4)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['TLS', Buffer.concat([HELLO_TLS, Buffer.alloc(32, 0xab)])],
    ['64 KiB of 0xff', Buffer.alloc(65536, 0xff)],
    ['chance', Buffer.from(Array.from({ length: 4096 }, () => rng.below(256)))],
  ];
}

test('bytes that are no SVP end their own connection alone', async (t) => {
  const rng = seededRng(seedOfRun());
  t.comment(`SEED=${rng.seed}`);
  const world = await startBadInputWorld(t);
  const at = world.service.listening['svp'] as { host: string; port: number };
  const bystander = dial(t, at);
  let asked = 0;
  async function serverAnswers(after: string) {
    asked += 1;
    bystander.socket.write(PING);
    await bystander.until((bytes) => framesIn(bytes).length === asked);
    t.pass(`another connection is answered after ${after}`);
  }
  await serverAnswers('nothing');

  for (const [what, bytes] of svpGarbage(rng)) {
    const bad = dial(t, at);
    bad.socket.write(bytes);
    await bad.ended();
    t.equal(bad.received().length, 0, `${what}: closed, unanswered`);
  }
  await serverAnswers('garbage');

  const mixed = dial(t, at);
  mixed.socket.write(PING);
  await mixed.until((bytes) => framesIn(bytes).length === 1);
  mixed.socket.write(spoiled(12, 0, 4));
  await mixed.ended();
  t.pass('a good connection that turns bad is closed');

  const slow = dial(t, at);
  slow.socket.setNoDelay(true);
  for (const byte of PING) {
    slow.socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await slow.until((bytes) => framesIn(bytes)[0]?.op === SvpOp.pong);
  t.pass('a request that dribbles in is answered');

  const half = dial(t, at);
  half.socket.end(PING.subarray(0, 9));
  await half.ended();
  t.pass('a half-closed connection with half a frame is ended');

  const held = Array.from({ length: 300 }, () => dial(t, at));
  for (const { socket } of held) socket.write(PING.subarray(0, 15));
  await serverAnswers('300 connections that stop in a header');
  for (const { socket } of held) socket.resetAndDestroy();

  const deaf = dial(t, at);
  deaf.socket.pause();
  for (let i = 0; i < 40; i += 1) {
    deaf.socket.write(Buffer.concat(Array.from({ length: 1000 }, () => PING)));
  }
  await serverAnswers('40,000 requests of one that reads no answers');
  deaf.socket.resume();
  const all = 40_000 * PING.length;
  await deaf.until((bytes) => bytes.length === all);
  t.pass('which are all there when it reads');
  t.equal((await world.send('GET', '/ping')).status, 200, 'HTTP is well');
});

const GOOD = {
  instance: 'i',
  service: 's',
  resources: [{ resource: 'aip', subResources: ['update'] }],
};
const HOSTILE = { toString: 1, valueOf: 1 };

function resources(list: unknown): string {
  return JSON.stringify({ ...GOOD, resources: list });
}

/** First text frames that are no registration. */
const REGISTRATIONS: [string, string][] = [
  ['no JSON', '{'],
  ['no text', ''],
  ['a list', '[]'],
  ['null', 'null'],
  ['a number', '5'],
  ['nothing', '{}'],
  ['an instance that is a number', JSON.stringify({ ...GOOD, instance: 5 })],
  ['no resources', JSON.stringify({ instance: 'i' })],
  ['empty resources', resources([])],
  ['resources that are text', resources('aip')],
  ['a resource of null', resources([null])],
  ['an unknown resource', resources([{ resource: 'x', subResources: [] }])],
  ['a prototype', resources([{ resource: '__proto__', subResources: [] }])],
  ['no sub-resources', resources([{ resource: 'aip' }])],
  ['hostile', resources([{ resource: 'aip', subResources: [HOSTILE] }])],
  [
    'a long name',
    resources([{ resource: 'é'.repeat(9999), subResources: [] }]),
  ],
  ['a list', JSON.stringify({ ...GOOD, extension: [] })],
  ['from -1', JSON.stringify({ ...GOOD, extension: { resume: -1 } })],
  ['from 1.5', JSON.stringify({ ...GOOD, extension: { resume: 1.5 } })],
  ['depth', `${'['.repeat(30_000)}`],
];

function listener(t: Test, world: BadInputWorld, version = '~2') {
  const url = `${world.service.url.replace('http', 'ws')}/changefeeds`;
  const socket = new WebSocket(url, {
    headers: { 'accept-version': version },
    perMessageDeflate: false,
  });
  t.teardown(() => socket.terminate());
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('error', () => {});
    socket.on('close', (code, reason) =>
      resolve({ code, reason: String(reason) }),
    );
  });
  const open = new Promise<void>((resolve) => socket.once('open', resolve));
  return { socket, open, closed };
}

/** A client's frame as RFC 6455 section 5.2 draws it, masked with zeros. */
function wsFrame(first: number, body: Buffer, masked = 0x80): Buffer {
  const length = Buffer.from([first, masked | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  length.writeUInt32BE(body.length, 6);
  return Buffer.concat([length, Buffer.alloc(masked ? 4 : 0), body]);
}

/** Frames against RFC 6455, and the close code that answers them. */
const FRAMES: [string, Buffer, number][] = [
  ['unmasked', wsFrame(0x81, Buffer.from('{}'), 0), 1002],
  ['reserved bits', wsFrame(0xf1, Buffer.from('{}')), 1002],
  ['reserved opcode', wsFrame(0x83, Buffer.from('{}')), 1002],
  ['continuation of nothing', wsFrame(0x80, Buffer.from('{}')), 1002],
  ['a long ping', wsFrame(0x89, Buffer.alloc(200)), 1002],
  ['no UTF-8', wsFrame(0x81, Buffer.from([0xff, 0xfe])), 1007],
  ['65,537 bytes', wsFrame(0x81, Buffer.alloc(65_537, 0x20)), 1009],
];

function upgrade(lines: string[]): string {
  return ['GET /changefeeds HTTP/1.1', 'Host: x', ...lines, '', ''].join(
    '\r\n',
  );
}

const KEY = `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`;
const ASK = ['Connection: Upgrade', 'Upgrade: websocket'];
const VERSION = 'Sec-WebSocket-Version: 13';

const UPGRADES: [string, string][] = [
  ['no key', upgrade([...ASK, VERSION])],
  ['a short key', upgrade([...ASK, VERSION, 'Sec-WebSocket-Key: x'])],
  ['no version', upgrade([...ASK, KEY])],
  ['version 99', upgrade([...ASK, KEY, 'Sec-WebSocket-Version: 99'])],
  ['another protocol', upgrade(['Connection: Upgrade', 'Upgrade: x', KEY])],
  ['POST', upgrade([...ASK, KEY, VERSION]).replace('GET', 'POST')],
  [
    'bad protocols',
    upgrade([...ASK, KEY, VERSION, 'Sec-WebSocket-Protocol: ,']),
  ],
];

test('what is no changefeed listener is told and let go', async (t) => {
  const world = await startBadInputWorld(t);
  const { hostname: host, port } = new URL(world.service.url);
  const at = { host, port: Number(port) };
  const bystander = listener(t, world);
  await bystander.open;
  const heard: string[] = [];
  const registered = new Promise<void>((resolve) => {
    bystander.socket.on('message', (text) => {
      heard.push(String(text));
      resolve();
    });
  });
  bystander.socket.send(JSON.stringify({ ...GOOD, instance: 'bystander' }));
  await within('answer to a good registration', registered);

  for (const [what, text] of REGISTRATIONS) {
    const bad = listener(t, world);
    await within('open socket', bad.open);
    bad.socket.send(text);
    const { code, reason } = await within('close', bad.closed);
    t.equal(code, 1000, `${what}: closed as the protocol says`);
    t.ok(reason.length > 10, `${what}: ${reason.slice(0, 60)}`);
  }

  for (const version of ['garbage', '~99', '>=', '9'.repeat(5000)]) {
    const odd = listener(t, world, version);
    const outcome = await within(
      'an outcome',
      Promise.race([odd.open.then(() => 'open'), odd.closed]),
    );
    t.ok(outcome, `accept-version ${version.slice(0, 9)}`);
    odd.socket.terminate();
  }

  for (const [what, frame, code] of FRAMES) {
    const bad = dial(t, at);
    bad.socket.write(upgrade([...ASK, KEY, VERSION]));
    await bad.until((bytes) => bytes.includes('\r\n\r\n'));
    const before = bad.received().length;
    bad.socket.write(frame);
    await bad.until((bytes) => bytes.length >= before + 4);
    const answer = bad.received().subarray(before);
    t.equal(answer[0], 0x88, `${what}: a CLOSE frame`);
    t.equal(answer.readUInt16BE(2), code, `${what}: ${code}`);
    bad.socket.destroy();
  }

  for (const [what, text] of UPGRADES) {
    const bad = dial(t, at);
    bad.socket.write(text);
    await bad.ended();
    const answer = String(bad.received()).split('\r\n', 1)[0];
    t.doesNotMatch(answer ?? '', /^HTTP\/1.1 (101|5)/, `${what}: ${answer}`);
  }

  for (const text of ['\u0000'.repeat(99), 'GET\r\n\r\n', 'x'.repeat(99_999)]) {
    const bad = dial(t, at);
    bad.socket.write(text);
    await bad.ended();
    t.pass(`no HTTP: ${String(bad.received()).split('\r\n', 1)[0]}`);
  }

  const change = await world.send(
    'PUT',
    `/aips/${world.aip}`,
    '{"description":"heard"}',
  );
  t.equal(change.status, 200, 'HTTP is well');
  for (let i = 0; i < 200 && heard.length < 2; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  t.equal(heard.length, 2, 'the good listener heard of the next change');
});
