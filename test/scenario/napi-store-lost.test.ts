// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: while PostgreSQL is gone clients are told "internal error",
 * or napi-nat does not come back with it.
 */

import { once } from 'node:events';
import test from 'tape';
import { napiConfig, PUBLIC_NETWORK } from '#test/napi-config.js';
import { freshAddress, testServer } from '#test/postgres.js';
import { startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';

test('a lost store is 503 until it is there again', async (t) => {
  const directory = temporaryDirectory(t);
  const postgres = await freshAddress();
  const config = { ...napiConfig(directory), store: { postgres } };
  const service = await startService(t, 'napi-nat', config, directory);
  const call = async (method: string, path: string, body?: object) => {
    const answer = await fetch(`${service.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const { status, headers } = answer;
    return { status, headers, body: (await answer.json()) as never };
  };
  const server = await testServer();
  server.process.kill('SIGQUIT');
  await once(server.process, 'exit');
  const requests: [string, string, object?][] = [
    ['GET', '/networks'],
    ['GET', `/networks/${PUBLIC_NETWORK}/ips`],
    ['POST', '/nic_tags', { name: 'lab' }],
    ['GET', '/nics'],
    ['GET', '/search/ips?ip=3.3.3.3'],
  ];
  for (const [method, path, body] of requests) {
    const answer = await call(method, path, body);
    t.equal(answer.status, 503, `${method} ${path}`);
    t.deepEqual(answer.body, {
      code: 'ServiceUnavailableError',
      message: 'the store is not available',
    });
    t.equal(answer.headers.get('retry-after'), '1');
  }
  const ping = await call('GET', '/ping');
  t.equal(ping.status, 200, 'ping answers');
  t.equal(ping.body['healthy'], false);
  t.deepEqual(ping.body['services'], { moray: 'offline' });
  await server.restart();
  const again = await until(
    'the store to be there again',
    () => call('GET', '/networks'),
    ({ status }) => status === 200,
  );
  t.equal((again.body as unknown[]).length, 2);
  t.equal((await call('POST', '/nic_tags', { name: 'lab' })).status, 200);
});
