// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What all routes have in common (facts: triton-napi 1.1): methods, headers,
 * versions. What would break: a client that checks one of them.
 */

import test from 'tape';
import { PUBLIC_NETWORK, startWorld, uuidOf } from '#test/nat-world.js';

test('HEAD is where GET is, but for fabrics, search and one address', async (t) => {
  const world = await startWorld(t);
  const statuses: Record<string, number> = {
    '/ping': 200,
    '/manage/gc': 501,
    '/networks': 200,
    [`/networks/${PUBLIC_NETWORK}`]: 200,
    [`/networks/${PUBLIC_NETWORK}/ips`]: 200,
    [`/networks/${PUBLIC_NETWORK}/ips/3.3.3.3`]: 405,
    '/nics': 200,
    '/nics/90:b8:d0:00:00:01': 404,
    '/nic_tags': 200,
    '/nic_tags/external': 200,
    '/network_pools': 200,
    [`/network_pools/${uuidOf(6, 1)}`]: 404,
    '/aggregations': 200,
    '/aggregations/x': 404,
    '/search/ips?ip=3.3.3.3': 405,
    [`/fabrics/${uuidOf(1, 1)}/vlans`]: 405,
  };
  for (const [path, status] of Object.entries(statuses)) {
    const answer = await world.call('HEAD', path);
    t.equal(answer.status, status, path);
    t.equal(answer.body, undefined, 'without a body');
  }
});

test('replies carry the headers of real NAPI', async (t) => {
  const world = await startWorld(t);
  const id = uuidOf(8, 1);
  const { headers } = await world.call('GET', '/networks', undefined, {
    'x-request-id': id,
  });
  t.equal(headers.get('server'), 'Triton Networking API');
  t.equal(headers.get('x-request-id'), id);
  t.match(headers.get('x-response-time') ?? '', /^\d+$/);
  t.ok(headers.get('x-server-name'));
  t.ok(headers.get('date'));
  t.equal(headers.get('content-type'), 'application/json');
  t.equal(headers.get('etag'), null, 'a list has no etag');
  const tag = await world.call('GET', '/nic_tags/external');
  t.equal(tag.headers.get('etag'), null, 'nor has a NIC tag');
});

test('a version that there is not is refused', async (t) => {
  const world = await startWorld(t);
  const ask = (range: string) =>
    world.call('GET', '/networks', undefined, { 'accept-version': range });
  t.equal((await ask('~1')).status, 200);
  t.equal((await ask('*')).status, 200);
  const refused = await ask('~2');
  t.deepEqual(
    [refused.status, refused.body],
    [
      400,
      {
        code: 'InvalidVersion',
        message: '~2 is not supported by GET /networks',
      },
    ],
  );
});

test('a path or a method that there is not is said so', async (t) => {
  const world = await startWorld(t);
  const path = await world.call('GET', '/nothing');
  t.deepEqual(path.body, {
    code: 'ResourceNotFound',
    message: '/nothing does not exist',
  });
  const method = await world.call('PUT', '/networks', {});
  t.equal(method.status, 405);
  t.deepEqual(method.body, {
    code: 'MethodNotAllowedError',
    message: 'PUT is not allowed',
  });
  t.match(method.headers.get('allow') ?? '', /GET/);
  const gc = await world.call('GET', '/manage/gc');
  t.equal(gc.body['code'], 'NotImplementedError');
});
