// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: answers out of order or to the wrong question, a server
 * that one bad client can take down, a client that gives up.
 */

import { connect, type Socket } from 'node:net';
import test from 'tape';
import { systemClock } from '#lib/clock.js';
import { ipv4 } from '#lib/net/ipv4.js';
import { mac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { createSvpClient, SvpUnavailableError } from '#lib/svp/client.js';
import { decodeMessage, encodeMessage } from '#lib/svp/codec.js';
import { createFramer } from '#lib/svp/framer.js';
import type { LogRecord, SvpFrame, SvpMessage } from '#lib/svp/messages.js';
import { createSvpServer, type SvpBackend } from '#lib/svp/server.js';

const UL3 = ipv4(0xc0a80c06);
const NODE = ipv4(0xc0a80c01);
const log = silentLogger();

function record(n: number): LogRecord {
  const id = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  return { type: 'vl2', id, mac: mac(n), vnet: 1 };
}

/** Knows vnet 1: MAC and IP n are at port n. Answers small n last. */
function backend(changes: Partial<SvpBackend> = {}): SvpBackend {
  const slowFirst = (n: number) =>
    new Promise<void>((resolve) => setTimeout(resolve, n < 10 ? 20 : 0));
  return {
    async vl2(vnet, address) {
      await slowFirst(address);
      return vnet === 1 ? { ip: UL3, port: address } : null;
    },
    async vl3(vnet, address) {
      return vnet === 1 ? { mac: mac(address), ip: UL3, port: 4789 } : null;
    },
    async logRequest(ip) {
      if (ip !== NODE) return null;
      return Array.from({ length: 40 }, (_, n) => record(n));
    },
    async logRemove() {},
    ...changes,
  };
}

async function start(using = backend(), limits = {}) {
  const server = createSvpServer({ backend: using, log, limits });
  const { port } = await server.listen('127.0.0.1', 0);
  return { server, port };
}

function client(port: number, query_ms = 5000) {
  const timeouts = { query_ms, reconnect_ms: [5, 10] };
  return createSvpClient({
    host: '127.0.0.1',
    port,
    clock: systemClock(),
    log,
    timeouts,
  });
}

/** Sends raw bytes; collects frames until `want` or the end. */
function raw(port: number, bytes: Buffer, want: number) {
  const socket: Socket = connect({ host: '127.0.0.1', port });
  const framer = createFramer();
  const frames: SvpFrame[] = [];
  return new Promise<{ frames: SvpFrame[]; closed: boolean }>((resolve) => {
    const end = (closed: boolean) => {
      socket.destroy();
      resolve({ frames, closed });
    };
    socket.on('data', (chunk) => {
      frames.push(...framer.push(chunk));
      if (frames.length >= want) end(false);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => end(true));
    socket.write(bytes);
  });
}

test('pipelined requests are answered in their order', async (t) => {
  const { server, port } = await start();
  const asked = [1, 20, 2, 30, 3];
  const bytes = asked.map((n) =>
    encodeMessage(n, { op: 'vl2_req', mac: mac(n), vnet: 1 }),
  );
  bytes.push(encodeMessage(0xffffffff, { op: 'ping' }, 2));
  const { frames } = await raw(port, Buffer.concat(bytes), 6);
  t.deepEqual(
    frames.map((frame) => frame.id),
    [...asked, 0xffffffff],
  );
  t.ok(frames.every((frame) => frame.version === 1));
  const ports = frames.slice(0, 5).map((frame) => {
    const message = decodeMessage(frame);
    return message.op === 'vl2_ack' ? message.port : -1;
  });
  t.deepEqual(ports, asked);
  await server.close();
});

test('a LOG_ACK is never longer than the client said', async (t) => {
  const { server, port } = await start();
  const one = client(port);
  t.equal((await one.logRequest(NODE))?.length, 31, '31 records fit 1024');
  t.equal((await one.logRequest(NODE, 35))?.length, 0);
  t.equal((await one.logRequest(NODE, 36))?.length, 1);
  t.equal(await one.logRequest(UL3), null, 'an unknown node has no log');
  one.close();
  await server.close();
});

test('not found, VL3 type ignored, and failures are told apart', async (t) => {
  const { server, port } = await start(
    backend({
      logRemove: () => Promise.reject(new Error('store is gone')),
    }),
  );
  const one = client(port);
  t.equal(await one.vl2(2, mac(5)), null);
  t.equal(await one.vl3(2, UL3), null);
  const odd: SvpMessage = { op: 'vl3_req', ip: UL3, l3type: 2, vnet: 1 };
  const { frames } = await raw(port, encodeMessage(1, odd), 1);
  const answer = frames[0] && decodeMessage(frames[0]);
  t.equal(answer?.op === 'vl3_ack' && answer.status, 0, 'G1');
  try {
    await one.logRemove([record(1).id]);
    t.fail('a failed removal must not look done');
  } catch (error) {
    t.ok(error instanceof SvpUnavailableError);
  }
  await one.ping();
  t.equal(server.counters().fatal, 1);
  one.close();
  await server.close();
});

test('a bad client loses its own connection only', async (t) => {
  const { server, port } = await start(backend(), { maxConnections: 8 });
  const good = client(port);
  await good.ping();
  const crc = encodeMessage(1, { op: 'ping' });
  crc.writeUInt32BE(1, 12);
  const cases: [string, Buffer][] = [
    ['bad_crc', crc],
    ['bad_op', encodeMessage(1, { op: 'pong' })],
    ['bad_version', encodeMessage(1, { op: 'log_rm', ids: [] }, 2)],
    ['bad_size', Buffer.from('GET / HTTP/1.0\r\n\r\n')],
  ];
  for (const [code, bytes] of cases) {
    const { closed, frames } = await raw(port, bytes, 1);
    t.ok(closed && frames.length === 0, `${code}: closed`);
    t.equal(server.counters().protocol_errors[code], 1, code);
  }
  await good.ping();
  t.pass('the other connection is served');
  good.close();
  await server.close();
});

test('a client that does not read is not answered without bound', async (t) => {
  let asked = 0;
  const { server, port } = await start(
    backend({
      async vl2() {
        asked++;
        return null;
      },
    }),
    { maxWaiting: 16 },
  );
  const request = encodeMessage(1, { op: 'vl2_req', mac: mac(50), vnet: 1 });
  const many = Buffer.concat(Array(200_000).fill(request));
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(many);
  let before = -1;
  while (before !== asked || asked === 0) {
    before = asked;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(asked < 200_000, `stopped after ${asked}`);
  const other = client(port);
  await other.ping();
  t.pass('another connection is served meanwhile');
  socket.destroy();
  other.close();
  await server.close();
});

test('a client survives its server', async (t) => {
  const first = await start();
  const one = client(first.port);
  t.deepEqual(await one.vl2(1, mac(77)), { ip: UL3, port: 77 });
  await first.server.close();
  const waiting = one.vl3(1, ipv4(5));
  const second = createSvpServer({ backend: backend(), log });
  await second.listen('127.0.0.1', first.port);
  t.deepEqual(await waiting, { mac: mac(5), ip: UL3, port: 4789 });
  one.close();
  await second.close();
});

test('an answer that never comes is an error, not a hang', async (t) => {
  const { server, port } = await start(
    backend({ vl3: () => new Promise(() => undefined) }),
  );
  const one = client(port, 50);
  try {
    await one.vl3(1, UL3);
    t.fail('no answer was sent');
  } catch (error) {
    t.ok(error instanceof SvpUnavailableError);
  }
  t.deepEqual(await one.vl2(1, mac(99)), { ip: UL3, port: 99 });
  one.close();
  await server.close();
});
