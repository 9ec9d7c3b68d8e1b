// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A program for the ends of a test's network: a server on the Internet side,
 * clients in instances. The server's first answer on any connection is the
 * address that it saw, which is what a NAT test wants to know.
 *
 *   serve [ADDRESS]            TCP echo on 7, UDP echo on 7; prints "ready"
 *   tcp HOST BYTES [ADDRESS]   sends BYTES, reads them back, compares
 *   udp HOST SIZE              one datagram, retried
 *   sink | flood HOST SECONDS  one-way throughput
 *   keep HOST ADDRESS          one TCP connection and one UDP socket: for each
 *                              line of input one message by each, and a line
 *                              that says by which addresses they were seen
 */

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const ECHO = 7;
const SINK = 9;

function print(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function serve(): Promise<void> {
  const echo = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(`${socket.remoteAddress}:${socket.remotePort}\n`);
    socket.pipe(socket);
  });
  const sink = createServer((socket) => {
    let bytes = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => {
      bytes += data.length;
    });
    socket.on('end', () => socket.end(`${bytes}\n`));
  });
  const udp = createSocket('udp4');
  udp.on('message', (_data, from) => {
    udp.send(`${from.address}:${from.port}`, from.port, from.address);
  });
  echo.listen(ECHO, '0.0.0.0');
  sink.listen(SINK, '0.0.0.0');
  udp.bind(ECHO, '0.0.0.0');
  await Promise.all([
    once(echo, 'listening'),
    once(sink, 'listening'),
    once(udp, 'listening'),
  ]);
  print({ ready: true });
}

/** Bytes that differ by position, so that a lost or moved one shows. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8)) & 255;
  return bytes;
}

async function tcp(host: string, length: number): Promise<void> {
  const socket: Socket = connect(ECHO, host);
  socket.setTimeout(15_000, () => socket.destroy(new Error('timed out')));
  const sent = pattern(length);
  socket.end(sent);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const all = Buffer.concat(chunks);
  const line = all.indexOf(10);
  const echoed = all.subarray(line + 1);
  print({
    seen: all.subarray(0, line).toString(),
    bytes: echoed.length,
    ...(echoed.equals(sent) ? {} : { error: 'the echo differs' }),
  });
}

async function udp(host: string, size: number): Promise<void> {
  const socket = createSocket('udp4');
  const answered = once(socket, 'message');
  const retry = setInterval(() => socket.send(pattern(size), ECHO, host), 500);
  socket.send(pattern(size), ECHO, host);
  const giveUp = setTimeout(() => {
    print({ error: 'no answer' });
    process.exit(1);
  }, 10_000);
  const [seen] = (await answered) as [Buffer];
  clearInterval(retry);
  clearTimeout(giveUp);
  socket.close();
  print({ seen: seen.toString(), bytes: size });
}

async function flood(host: string, seconds: number): Promise<void> {
  const socket = connect(SINK, host);
  await once(socket, 'connect');
  const block = Buffer.alloc(1 << 18);
  const end = performance.now() + seconds * 1000;
  const start = performance.now();
  while (performance.now() < end) {
    if (!socket.write(block)) await once(socket, 'drain');
  }
  socket.end();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  print({
    bytes: Number(answer.toString()),
    seconds: (performance.now() - start) / 1000,
  });
}

/** Asks by UDP until it is answered, ten seconds long. */
async function askUdp(host: string, socket: UdpSocket): Promise<string> {
  const again = setInterval(() => socket.send('?', ECHO, host), 200);
  socket.send('?', ECHO, host);
  const signal = AbortSignal.timeout(10_000);
  const answer = once(socket, 'message', { signal }).catch(() => ['no answer']);
  const [seen] = (await answer) as [Buffer | string];
  clearInterval(again);
  return seen.toString();
}

async function keep(host: string, from: string): Promise<void> {
  const udp = createSocket('udp4').bind({ address: from });
  const tcp = connect({ port: ECHO, host, localAddress: from });
  let ended: string | null = null;
  let heard = '';
  tcp.on('data', (data) => {
    heard += data.toString();
  });
  tcp.on('error', (error) => {
    ended = error.message;
  });
  const line = async (match: (text: string) => boolean) => {
    for (let i = 0; i < 500 && ended === null && !match(heard); i++) {
      await sleep(20);
    }
    return match(heard);
  };
  await line((text) => text.includes('\n'));
  const seen = heard.split('\n')[0];
  let count = 0;
  for await (const _ of createInterface({ input: process.stdin })) {
    const word = `message ${++count}.`;
    tcp.write(word);
    const answered = await line((text) => text.endsWith(word));
    print({
      tcp: answered ? seen : (ended ?? 'no answer'),
      udp: await askUdp(host, udp),
    });
  }
  tcp.destroy();
  udp.close();
}

const [verb = '', host = '', amount = '0'] = process.argv.slice(2);
try {
  if (verb === 'serve') await serve();
  else if (verb === 'tcp') await tcp(host, Number(amount));
  else if (verb === 'udp') await udp(host, Number(amount));
  else if (verb === 'flood') await flood(host, Number(amount));
  else if (verb === 'keep') await keep(host, amount);
  else print({ error: `unknown verb ${verb}` });
} catch (error) {
  print({ error: String(error) });
}
