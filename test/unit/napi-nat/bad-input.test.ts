// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Every field of every request, given what it should not be: the answer says
 * what is wrong (4xx), never "internal error", and nothing has changed.
 */

import test from 'tape';
import {
  addFabric,
  addNic,
  type NatWorld,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';

const OWNER = uuidOf(1, 1);
const NASTY: unknown[] = [
  null,
  '',
  ' ',
  0,
  -1,
  1.5,
  2 ** 53,
  true,
  'x'.repeat(5000),
  '*',
  '(a=*)',
  '\\00',
  '\u0000',
  '__proto__',
  [],
  [null],
  [[]],
  {},
  { a: { b: 1 } },
  { toString: 1, valueOf: 1 },
  [{ toString: 1 }],
  [5],
  '0x10',
  '2 ',
  '\ud800',
  1e300,
  '255.255.255.255',
  '0.0.0.0',
  '10.1.1.0/33',
  '0.0.0.0/8',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
];

const NETWORK = {
  name: 'lab',
  nic_tag: 'external',
  vlan_id: 7,
  subnet: '10.2.0.0/24',
  provision_start_ip: '10.2.0.10',
  provision_end_ip: '10.2.0.250',
};
const NETWORK_MORE = [
  'description',
  'fabric',
  'fields',
  'gateway',
  'internet_nat',
  'mtu',
  'owner_uuids',
  'resolvers',
  'routes',
  'uuid',
  'vnet_id',
  'nat_reform_public',
  'subnet_alloc',
  'family',
];
const NIC = {
  belongs_to_uuid: uuidOf(2, 1),
  belongs_to_type: 'zone',
  owner_uuid: OWNER,
  cn_uuid: uuidOf(9, 1),
};
const NIC_MORE = [
  'mac',
  'ip',
  'network_uuid',
  'nic_tag',
  'vlan_id',
  'primary',
  'reserved',
  'model',
  'state',
  'underlay',
  'nic_tags_provided',
  'allow_ip_spoofing',
];

/** Statuses that are nobody's fault but the client's, or success. */
function isAnswer(status: number): boolean {
  return status < 500 || status === 507;
}

/** Each field in turn, each with each value. */
async function offend(
  world: NatWorld,
  method: string,
  path: string,
  good: Record<string, unknown>,
  more: string[],
): Promise<string[]> {
  const failures: string[] = [];
  for (const field of [...Object.keys(good), ...more]) {
    const answers = await Promise.all(
      NASTY.map(async (value) => {
        const answer = await world.call(method, path, {
          ...good,
          [field]: value,
        });
        return { value, answer };
      }),
    );
    for (const { value, answer } of answers) {
      const { status, body } = answer;
      const told = status < 400 || typeof body['message'] === 'string';
      if (isAnswer(status) && told) continue;
      const sent = JSON.stringify(value)?.slice(0, 60);
      failures.push(`${method} ${path} ${field}=${sent}: ${status}`);
    }
  }
  return failures;
}

test('no body makes napi-nat fail', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const { uuid } = await addFabric(world, OWNER, 2, '10.1.1.0/24');
  const nic = await addNic(world, {
    owner: OWNER,
    instance: uuidOf(2, 1),
    network: uuid,
  });
  const vlans = `/fabrics/${OWNER}/vlans`;
  const requests: [string, string, Record<string, unknown>, string[]][] = [
    ['POST', '/networks', NETWORK, NETWORK_MORE],
    ['PUT', `/networks/${PUBLIC_NETWORK}`, {}, Object.keys(NETWORK)],
    ['PUT', `/networks/${PUBLIC_NETWORK}`, {}, NETWORK_MORE],
    ['POST', vlans, { vlan_id: 5 }, ['name', 'description', 'fields']],
    ['PUT', `${vlans}/2`, {}, ['name', 'description', 'fields']],
    ['POST', `${vlans}/2/networks`, NETWORK, NETWORK_MORE],
    ['PUT', `${vlans}/2/networks/${uuid}`, {}, NETWORK_MORE],
    ['POST', '/nics', NIC, NIC_MORE],
    ['POST', `/networks/${uuid}/nics`, NIC, NIC_MORE],
    ['PUT', `/nics/${nic.mac}`, {}, [...Object.keys(NIC), ...NIC_MORE]],
    ['PUT', `/networks/${uuid}/ips/10.1.1.99`, NIC, ['reserved', 'free']],
    ['POST', '/nic_tags', { name: 'lab' }, ['mtu', 'uuid']],
    ['PUT', '/nic_tags/sdc_overlay', {}, ['name', 'mtu']],
  ];
  for (const [method, path, good, more] of requests) {
    t.deepEqual(await offend(world, method, path, good, more), [], path);
  }
});

test('no path or query makes napi-nat fail', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  // Half a surrogate pair has no URL form.
  const parts = NASTY.filter(
    (value) => typeof value === 'string' && value !== '\ud800',
  )
    .map((value) => encodeURIComponent(value as string))
    .filter((value) => value !== '' && value.length < 400);
  const paths = [
    '/networks/X',
    `/networks/${PUBLIC_NETWORK}/ips/X`,
    '/networks/X/ips',
    '/nics/X',
    '/nic_tags/X',
    '/fabrics/X/vlans',
    `/fabrics/${OWNER}/vlans/X`,
    `/fabrics/${OWNER}/vlans/X/networks`,
    '/networks?name=X',
    '/networks?uuid=X',
    '/networks?limit=X',
    '/networks?X=1',
    '/networks?nic_tag=X&nic_tag=X',
    '/networks?name.a=X',
    '/nics?belongs_to_uuid=X',
    '/nics?nic_tag=X',
    '/nics?nic_tag=!X',
    '/nics?state=X',
    `/networks/${PUBLIC_NETWORK}/ips?belongs_to_type=X`,
  ];
  const failures: string[] = [];
  for (const path of paths) {
    for (const part of parts) {
      for (const method of ['GET', 'DELETE']) {
        const url = path.replaceAll('X', part);
        const { status } = await world.call(method, url);
        if (!isAnswer(status)) failures.push(`${method} ${url}: ${status}`);
      }
    }
  }
  t.deepEqual(failures, []);
  t.equal((await world.must<unknown[]>('GET', '/networks')).length, 1);
});

test('bodies that are no objects are refused', async (t) => {
  const world = await startWorld(t);
  const send = async (body: string) => {
    const response = await fetch(`${world.url}/networks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const answer = (await response.json()) as { code: string };
    return [response.status, answer.code];
  };
  t.deepEqual(await send('{'), [400, 'InvalidContent']);
  t.deepEqual(await send('[1]'), [422, 'InvalidParameters']);
  t.deepEqual(await send('"text"'), [422, 'InvalidParameters']);
  t.equal((await send(JSON.stringify({ a: 'x'.repeat(2 ** 21) })))[0], 413);
});
