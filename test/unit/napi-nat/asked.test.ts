// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is wrong with a question to NAPI, in its words, and the order in which
 * it looks (facts: triton-napi 1.3, 1.5, 3.3, 6.1).
 */

import test from 'tape';
import {
  ADMIN,
  addFabric,
  PUBLIC_NETWORK,
  startWorld,
  uuidOf,
} from '#test/nat-world.js';

type Body = Record<string, unknown>;

const UNKNOWN = uuidOf(8, 8);
const LIMIT =
  'invalid limit, must be an integer greater than 0 or less than or equal to ' +
  '1000';
const OFFSET =
  'invalid value, offset must be an integer greater than or equal to 0';

/** Query, the field that is wrong, what is said of it. */
const WRONG: [string, string, string][] = [
  ['/networks?limit=0', 'limit', LIMIT],
  ['/networks?limit=1001', 'limit', LIMIT],
  ['/networks?limit=1.5', 'limit', LIMIT],
  ['/networks?offset=-1', 'offset', OFFSET],
  ['/networks?uuid=a*b*', 'uuid', 'need only 1 wildcard'],
  ['/networks?uuid=a*b', 'uuid', 'only UUID prefixes are allowed'],
  ['/networks?uuid=A*', 'uuid', 'UUID prefix has invalid chars'],
  [
    `/networks?uuid=${'a'.repeat(64)}*`,
    'uuid',
    'must not be longer than 64 characters',
  ],
  ['/networks?uuid=', 'uuid', 'must not be empty'],
  ['/networks?family=ipv5', 'family', 'must be one of: "ipv4", "ipv6"'],
  ['/networks?fabric=TRUE', 'fabric', 'must be a boolean value'],
  ['/networks?name=', 'name', 'must not be empty'],
  ['/networks?owner_uuid=x', 'owner_uuid', 'invalid UUID'],
  ['/nics?owner_uuid=x', 'owner_uuid', 'invalid UUID'],
  ['/nics?limit=1001', 'limit', LIMIT],
  ['/nic_tags?offset=x', 'offset', OFFSET],
  ['/network_pools?limit=0', 'limit', LIMIT],
  [
    `/network_pools?networks=${UNKNOWN},${ADMIN}`,
    'networks',
    'Only one network UUID allowed',
  ],
  ['/aggregations?macs=x', 'macs', 'invalid MAC address'],
  ['/aggregations?macs=x,y', 'macs', 'invalid MAC addresses'],
  ['/search/ips', 'ip', 'Missing parameter'],
  ['/search/ips?ip=x', 'ip', 'invalid IP address'],
  [`/networks/${PUBLIC_NETWORK}/ips?limit=0`, 'limit', LIMIT],
  [
    `/networks/${PUBLIC_NETWORK}?fields=name`,
    'fields',
    'must be an array of strings',
  ],
  [
    `/networks/${PUBLIC_NETWORK}?fields=name&fields=family`,
    'fields',
    'unknown field specified',
  ],
  ['/nics/nonsense', 'mac', 'invalid MAC address'],
];

test('a question that is wrong is told what is wrong', async (t) => {
  const world = await startWorld(t);
  for (const [path, field, message] of WRONG) {
    const { status, body } = await world.call<Body>('GET', path);
    const [error] = (body['errors'] ?? []) as Body[];
    t.deepEqual(
      [status, error?.['field'], error?.['message']],
      [422, field, message],
      path,
    );
  }
});

test('lists refuse parameters that they do not know', async (t) => {
  const world = await startWorld(t);
  const strict = [
    '/networks',
    `/networks/${PUBLIC_NETWORK}/ips`,
    '/nics',
    '/nic_tags',
    '/network_pools',
    '/aggregations',
  ];
  for (const path of strict) {
    const { status, body } = await world.call<Body>('GET', `${path}?a=1&b=2`);
    t.equal(status, 422, path);
    t.deepEqual(body['errors'], [
      {
        field: ['a', 'b'],
        code: 'UnknownParameters',
        message: 'Unknown parameters: a, b',
      },
    ]);
  }
  const fields = '/networks?fields=name&fields=uuid';
  t.equal(
    (await world.call('GET', fields)).status,
    422,
    'as NAPI, not its docs',
  );
  const vlans = await world.call('GET', `/fabrics/${ADMIN}/vlans?a=1`);
  t.equal(vlans.status, 200, 'VLANs do not mind');
});

test('that it is there is looked at before what is asked of it', async (t) => {
  const world = await startWorld(t);
  const unknown = await world.call<Body>(
    'GET',
    `/networks/${UNKNOWN}?fields=x`,
  );
  t.deepEqual(unknown.body, {
    code: 'ResourceNotFound',
    message: 'network not found',
  });
  const path = `/networks/${PUBLIC_NETWORK}`;
  const there = await world.call<Body>('GET', path);
  const etag = there.headers.get('etag') as string;
  const same = await world.call('GET', `${path}?fields=x`, undefined, {
    'if-none-match': etag,
  });
  t.equal(same.status, 304, 'then its etag');
  const other = await world.call<Body>('GET', `${path}?fields=x`, undefined, {
    'if-match': '"other", W/"others"',
  });
  t.deepEqual(other.body, {
    code: 'PreconditionFailed',
    message: `if-match '"other", W/"others"' didn't match etag '${etag}'`,
  });
  const put = await world.call<Body>(
    'PUT',
    path,
    { mtu: 'x' },
    { 'if-none-match': `W/"${etag}"` },
  );
  t.deepEqual(put.body, {
    code: 'PreconditionFailed',
    message: `if-none-match 'W/"${etag}"' matched etag '${etag}'`,
  });
});

test('an address may not be freed and unassigned at once', async (t) => {
  const world = await startWorld(t);
  const path = `/networks/${PUBLIC_NETWORK}/ips/3.3.3.77`;
  const { body } = await world.call<Body>('PUT', path, {
    free: true,
    unassign: 'true',
  });
  t.deepEqual(body['errors'], [
    {
      field: 'unassign',
      code: 'InvalidParameter',
      message: 'free and unassign cannot both be set to "true"',
    },
  ]);
  const only = await world.call<Body>(
    'PUT',
    path,
    { reserved: true },
    {
      'if-match': '""',
    },
  );
  t.equal(only.status, 200, 'If-Match: "" is "create only"');
  const again = await world.call<Body>(
    'PUT',
    path,
    { reserved: true },
    {
      'if-match': '""',
    },
  );
  t.equal(again.status, 412);
});

test('a VLAN with networks stays, and says which', async (t) => {
  const world = await startWorld(t, { nat_reform: false });
  const owner = uuidOf(1, 1);
  const { uuid } = await addFabric(world, owner, 2, '10.4.4.0/24');
  const { status, body } = await world.call<Body>(
    'DELETE',
    `/fabrics/${owner}/vlans/2`,
  );
  t.equal(status, 422);
  t.deepEqual(body, {
    code: 'InUse',
    message: 'VLAN must have no networks',
    errors: [
      {
        type: 'network',
        id: uuid,
        code: 'UsedBy',
        message: `In use by network "${uuid}"`,
      },
    ],
  });
});

test('fixed fields of a network are read, then compared', async (t) => {
  const world = await startWorld(t);
  const path = `/networks/${PUBLIC_NETWORK}`;
  const said = async (body: object) => {
    const answer = await world.call<Body>('PUT', path, body);
    const errors = (answer.body['errors'] ?? []) as Body[];
    return errors.map(({ field, message }) => `${field}: ${message}`);
  };
  const fixed = 'Network updates for this field are not supported';
  t.deepEqual(await said({ vlan_id: '0', subnet: '3.3.3.0/24' }), []);
  t.deepEqual(await said({ vlan_id: 7, family: 'ipv6', fabric: true }), [
    `fabric: ${fixed}`,
    `family: ${fixed}`,
    `vlan_id: ${fixed}`,
  ]);
  t.deepEqual(await said({ internet_nat: true }), [`internet_nat: ${fixed}`]);
  t.deepEqual(await said({ subnet: '3.3.4.0/24' }), [`subnet: ${fixed}`]);
  t.deepEqual(await said({ subnet: '3.3.3.1/24', mtu: 1 }), [
    'mtu: mtu must be a number between 576 and 9000',
    'subnet: invalid CIDR format',
  ]);
  const after = await world.must('GET', path);
  t.equal(after['vlan_id'], 0);
  t.equal(after['subnet'], '3.3.3.0/24');
});
