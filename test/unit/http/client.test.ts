// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The client's errors are the other side's; its silence is a 503. */

import { createServer } from 'node:net';
import test from 'tape';
import { ServiceError } from '#lib/errors.js';
import { HttpClient } from '#lib/http/client.js';
import { startHttp } from '#test/http-server.js';

async function failure(promise: Promise<unknown>): Promise<ServiceError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

test('bodies, queries and headers go there and back', async (t) => {
  const { client } = await startHttp(t, [
    {
      method: 'POST',
      path: '/echo',
      name: 'echo',
      handler: (request) => ({
        status: 200,
        body: { params: request.params, id: request.id },
        headers: { Etag: 'E' },
      }),
    },
    {
      method: 'DELETE',
      path: '/echo',
      name: 'del',
      handler: () => ({ status: 204 }),
    },
    {
      method: ['GET', 'HEAD'],
      path: '/text',
      name: 'text',
      handler: () => ({
        status: 200,
        text: { type: 'text/plain', content: 'é' },
      }),
    },
  ]);
  const answer = await client.post('/echo', {
    query: { a: ['1', '2'], b: undefined, c: true },
    body: { d: 'é' },
    requestId: 'r1',
  });
  t.deepEqual(answer.body, {
    params: { a: ['1', '2'], c: 'true', d: 'é' },
    id: 'r1',
  });
  t.equal(answer.headers['etag'], 'E');
  const gone = await client.del('/echo');
  t.deepEqual([gone.status, gone.body], [204, undefined]);
  t.equal((await client.get('/text')).body, 'é');
  t.equal((await client.head('/text')).headers['content-length'], '2');
});

test('an error is the ServiceError that was thrown there', async (t) => {
  const body = {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors: [{ field: 'ip', code: 'InvalidParameter', message: 'no' }],
  };
  const { client } = await startHttp(t, [
    {
      method: 'GET',
      path: '/x',
      name: 'x',
      handler: () => {
        throw new ServiceError(422, body);
      },
    },
  ]);
  const error = await failure(client.get('/x'));
  t.equal(error.status, 422);
  t.deepEqual(error.body, body);
});

test('nobody there is 503 ServiceUnavailable, naming it', async (t) => {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const { port } = free.address() as { port: number };
  await new Promise((resolve) => free.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  const client = new HttpClient({ url, timeoutMs: 2000 });
  const error = await failure(client.get('/'));
  t.equal(error.status, 503);
  t.equal(error.body.code, 'ServiceUnavailable');
  t.ok(error.message.includes(url) && error.message.includes('ECONNREFUSED'));
  client.close();
});

test('silence is 503 after the time limit', async (t) => {
  const { url } = await startHttp(t, [
    {
      method: 'GET',
      path: '/never',
      name: 'never',
      handler: () =>
        new Promise((resolve) =>
          setTimeout(() => resolve({ status: 200 }), 300).unref(),
        ),
    },
  ]);
  const client = new HttpClient({ url, timeoutMs: 50 });
  const error = await failure(client.get('/never'));
  t.equal(error.status, 503);
  t.ok(error.message.endsWith('no answer within 50 ms'), error.message);
  client.close();
});

test('a broken connection: GET is tried again, POST is not', async (t) => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const good = connections % 2 === 0;
    socket.on('error', () => {});
    socket.once('data', () => {
      if (!good) socket.destroy();
      else {
        socket.end(
          'HTTP/1.1 200 OK\r\nConnection: close\r\n' +
            'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
        );
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const client = new HttpClient({
    url: `http://127.0.0.1:${port}/base/`,
    timeoutMs: 2000,
  });
  t.equal((await client.get('/x')).status, 200);
  t.equal(connections, 2);
  t.equal((await failure(client.post('/x', { body: {} }))).status, 503);
  t.equal(connections, 3);
  client.close();
});

test('what is not JSON, or too long, is an error', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () =>
      socket.end(
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a":',
      ),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  const client = new HttpClient({ url, timeoutMs: 2000 });
  t.equal((await failure(client.get('/'))).status, 502);
  const small = new HttpClient({ url, timeoutMs: 2000, maxBodyBytes: 2 });
  t.ok(/longer than 2 bytes/.test((await failure(small.get('/'))).message));
  client.close();
  small.close();
});
