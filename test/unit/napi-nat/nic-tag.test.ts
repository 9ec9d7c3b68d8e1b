// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nic_tags` (facts: triton-napi 6.3). */

import test from 'tape';
import { PUBLIC_NETWORK, startWorld, uuidOf } from '#test/nat-world.js';

type Body = Record<string, unknown>;

test('tags are made, renamed and removed', async (t) => {
  const world = await startWorld(t);
  const made = await world.must('POST', '/nic_tags', {
    name: 'lab',
    mtu: 9000,
  });
  t.deepEqual(Object.keys(made).sort(), ['mtu', 'name', 'uuid']);
  const names = async () =>
    (await world.must<Body[]>('GET', '/nic_tags')).map((each) => each['name']);
  const own = ['external', 'lab', 'sdc_overlay', 'sdc_underlay'];
  t.deepEqual(await names(), own);
  const renamed = await world.must('PUT', '/nic_tags/lab', { name: 'dev' });
  t.deepEqual(renamed, { ...made, name: 'dev' });
  t.equal((await world.call('GET', '/nic_tags/lab')).status, 404);
  t.equal((await world.call('DELETE', '/nic_tags/dev')).status, 204);
  t.equal((await world.call('DELETE', '/nic_tags/dev')).status, 404);
});

test('what is wrong with a tag is said by field', async (t) => {
  const world = await startWorld(t);
  const letters = 'must only contain numbers, letters and underscores';
  const cases: [string, string, object, string, string][] = [
    ['POST', '/nic_tags', { name: 'a-b' }, 'name', letters],
    ['POST', '/nic_tags', { name: 'external' }, 'name', 'Already exists'],
    [
      'POST',
      '/nic_tags',
      { name: 'admin', mtu: 9000 },
      'mtu',
      'admin nic tag mtu must be 1500',
    ],
    ['PUT', '/nic_tags/sdc_overlay', {}, 'name', 'Missing parameter'],
    ['PUT', '/nic_tags/nope', {}, 'name', 'Missing parameter'],
    [
      'PUT',
      '/nic_tags/external',
      { mtu: 1500 },
      'name',
      'external nic tag cannot be renamed',
    ],
    [
      'PUT',
      '/nic_tags/external',
      { name: 'outside' },
      'nic_tag',
      `In use by network "${PUBLIC_NETWORK}"`,
    ],
    [
      'PUT',
      '/nic_tags/admin',
      { mtu: 1500 },
      'name',
      'admin nic tag cannot be updated',
    ],
    ['GET', '/nic_tags/a-b', {}, 'name', letters],
    ['DELETE', '/nic_tags/a-b', {}, 'name', letters],
    ['PUT', '/nic_tags/nope', { name: 'external' }, 'name', 'Already exists'],
    [
      'POST',
      '/nic_tags',
      { name: 'x'.repeat(32) },
      'name',
      'must not be longer than 31 characters',
    ],
    [
      'POST',
      '/nic_tags',
      { name: 'x', mtu: 1400 },
      'mtu',
      'mtu must be a number between 1500 and 9000',
    ],
    [
      'DELETE',
      '/nic_tags/external',
      {},
      'nic_tag',
      `In use by network "${PUBLIC_NETWORK}"`,
    ],
  ];
  for (const [method, path, body, field, message] of cases) {
    const sent = method === 'GET' ? undefined : body;
    const answer = await world.call<Body>(method, path, sent);
    const [error] = (answer.body['errors'] ?? []) as Body[];
    t.equal(answer.status, 422, `${method} ${path}`);
    t.equal(error?.['field'], field);
    t.equal(error?.['message'], message);
  }
});

test('a NIC names tags that exist', async (t) => {
  const world = await startWorld(t);
  const nic = {
    belongs_to_uuid: uuidOf(9, 1),
    belongs_to_type: 'server',
    owner_uuid: uuidOf(1, 1),
  };
  const cases: [object, string, string, unknown?][] = [
    [{ nic_tag: 'nope' }, 'nic_tag', 'nic tag does not exist'],
    [{ nic_tag: ['external'] }, 'nic_tag', 'must be a string'],
    [{ nic_tag: 'a,b' }, 'nic_tag', 'must only specify one nic tag'],
    [{ nic_tag: '/5' }, 'nic_tag', 'must not be empty'],
    [
      { nic_tag: 'external/1/2' },
      'nic_tag',
      'only one slash is allowed after the tag name',
    ],
    [
      { nic_tag: 'sdc_overlay/16777216' },
      'nic_tag',
      'VNET ID must be a number between 0 and 16777215',
    ],
    [
      { nic_tags_provided: 'external,nope' },
      'nic_tags_provided',
      'nic tag does not exist',
      ['nope'],
    ],
    [
      { nic_tags_provided: ['a', 'b'] },
      'nic_tags_provided',
      'nic tags do not exist',
      ['a', 'b'],
    ],
    [{ nic_tags_provided: 5 }, 'nic_tags_provided', 'must be an array'],
    [
      { nic_tags_provided: ['external', 5] },
      'nic_tags_provided',
      'must be a string',
      [5],
    ],
  ];
  for (const [more, field, message, invalid] of cases) {
    const answer = await world.call<Body>('POST', '/nics', { ...nic, ...more });
    const [error] = (answer.body['errors'] ?? []) as Body[];
    t.equal(answer.status, 422, JSON.stringify(more));
    t.deepEqual([error?.['field'], error?.['message']], [field, message]);
    if (invalid) t.deepEqual(error?.['invalid'], invalid);
  }
  const made = await world.must('POST', '/nics', {
    ...nic,
    nic_tags_provided: 'external,sdc_underlay',
  });
  t.deepEqual(made['nic_tags_provided'], ['external', 'sdc_underlay']);
  const path = `/nics/${made['mac']}`;
  const cleared = await world.must('PUT', path, { nic_tags_provided: '' });
  t.notOk('nic_tags_provided' in cleared);
});
