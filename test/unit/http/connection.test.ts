// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Connections: who still sends when the answer is there, who breaks off, and
 * what a closing server owes to those that it has (RFC 9112 section 9.6).
 */

import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import test from 'tape';
import { LINGER_MS } from '#lib/http/linger.js';
import type { Route } from '#lib/http/types.js';
import { createLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import { Lines } from '#test/lines.js';
import { manualClock } from '#test/manual-clock.js';
import { until } from '#test/until.js';

const ROUTES: Route[] = [
  {
    method: ['GET', 'POST'],
    path: '/things',
    name: 'things',
    handler: () => ({ status: 200, body: {} }),
  },
];

test('a body too long is answered at once, and not for ever read', async (t) => {
  const clock = manualClock();
  const { port } = await startHttp(t, ROUTES, { maxBodyBytes: 50, clock });
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
      `Transfer-Encoding: chunked\r\n\r\n40\r\n${'x'.repeat(64)}\r\n`,
  );
  let text = '';
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await until('the answer', () => text.includes('PayloadTooLargeError'));
  t.ok(text.startsWith('HTTP/1.1 413 '), 'answered before its end');
  t.ok(/connection: close/i.test(text), 'the connection will be closed');
  t.notOk(closed, 'not while the client sends');
  clock.advance(LINGER_MS);
  await until('the end', () => closed);
});

test('who sends too much hears of it, and not of a reset', async (t) => {
  const { port } = await startHttp(t, ROUTES, { maxBodyBytes: 50 });
  const length = 2 ** 24;
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
      `Content-Length: ${length}\r\n\r\n`,
  );
  const text: Promise<string> = once(socket, 'data').then(String);
  for (let sent = 0; sent < length; sent += 2 ** 20) {
    const piece = Buffer.alloc(2 ** 20, 'x');
    await promisify(socket.write).call(socket, piece);
  }
  t.match(await text, /^HTTP\/1.1 413 /, 'after all of its body');
  await once(socket, 'close');
});

test('a body that is cut off is no error of ours', async (t) => {
  const lines = new Lines();
  const { port } = await startHttp(t, ROUTES, {
    log: createLogger({ name: 'x', level: 'info', stream: lines }),
  });
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc',
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  for (let i = 0; i < 200 && lines.text() === ''; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const [record] = lines.records();
  t.equal(record?.['status'], 400);
  t.equal(record?.['level'], 30, 'info, not error');
});

test('an upgrade that nobody takes is closed', async (t) => {
  const { port } = await startHttp(t, ROUTES);
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'GET /things HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n' +
      'Upgrade: websocket\r\n\r\n',
  );
  let text = '';
  for await (const chunk of socket) text += chunk;
  t.equal(text, '');
});

test('a port in use is an error that says so', async (t) => {
  const { port } = await startHttp(t, ROUTES);
  const { server: second } = await startHttp(t, ROUTES);
  await second.close();
  try {
    await second.listen('127.0.0.1', port);
    t.fail('it listened twice');
  } catch (error) {
    t.ok(/EADDRINUSE|already/i.test(String(error)));
  }
});

test('close waits for requests under way', async (t) => {
  let release: () => void = () => {};
  const { url, server } = await startHttp(t, [
    {
      method: 'GET',
      path: '/slow',
      name: 'getslow',
      handler: async () => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return { status: 200, body: {} };
      },
    },
  ]);
  const pending = fetch(`${url}/slow`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = server.close();
  release();
  const last = await pending;
  t.equal(last.status, 200);
  t.equal(
    last.headers.get('connection'),
    'close',
    'the last of its connection',
  );
  await closed;
  await fetch(url).then(
    () => t.fail('it still answers'),
    () => t.pass('it no longer listens'),
  );
});

test('a stream that begins while the server closes is whole', async (t) => {
  const steps = new EventEmitter();
  const route: Route = {
    method: 'GET',
    path: '/late',
    name: 'getlate',
    handler: async () => {
      steps.emit('asked');
      await once(steps, 'closing');
      const bits = async function* () {
        yield 'all ';
        yield 'of it';
      };
      return { status: 200, stream: { type: 'text/plain', open: bits } };
    },
  };
  const { port, server } = await startHttp(t, [route]);
  const socket = connect(port, '127.0.0.1');
  const heard = new Lines();
  socket.pipe(heard);
  // The rest of the request never comes.
  socket.write('GET /late HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n');
  await once(steps, 'asked');
  const closed = server.close();
  steps.emit('closing');
  await once(socket, 'end');
  t.match(heard.text(), /^HTTP\/1.1 200 .*all .*of it/s);
  await closed;
});
