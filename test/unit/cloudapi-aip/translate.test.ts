// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What a customer sees of napi-nat's objects and errors. */

import test from 'tape';
import { invalidParameter, ServiceError } from '#lib/errors.js';
import type { Aip } from '#lib/model/aip.js';
import {
  toPublic,
  toPublicError,
} from '../../../services/cloudapi-aip/aips/translate.js';

const SPARE: Aip = {
  uuid: '44444444-0000-4000-8000-000000000001',
  family: 'ipv4',
  state: 'detached',
  deletion_protection: false,
  owner_uuid: '11111111-0000-4000-8000-00000000000a',
  ip: '3.3.3.9',
  network_uuid: '00000e70-0000-4000-8000-000000000002',
  created_timestamp: '2026-11-21T10:00:00.000Z',
  modified_timestamp: '2026-11-21T11:00:00.000Z',
};

test('an AIP shows both names and nothing of the inside', (t) => {
  t.deepEqual(toPublic(SPARE), {
    id: SPARE.uuid,
    uuid: SPARE.uuid,
    ip: '3.3.3.9',
    family: 'ipv4',
    state: 'detached',
    deletion_protection: false,
    owner_uuid: SPARE.owner_uuid,
    created: SPARE.created_timestamp,
    updated: SPARE.modified_timestamp,
  });
  const assigned = toPublic({
    ...SPARE,
    description: 'mail',
    tags: { tier: 1, on: false },
    belongs_to_uuid: '22222222-0000-4000-8000-000000000001',
    belongs_to_type: 'Instance',
    private_ip: '10.4.4.2',
    vnet_id: 1,
    vlan_id: 2,
    fabric_network_uuid: SPARE.network_uuid,
  });
  t.deepEqual(Object.keys(assigned).sort(), [
    'belongs_to_type',
    'belongs_to_uuid',
    'created',
    'deletion_protection',
    'description',
    'family',
    'id',
    'ip',
    'owner_uuid',
    'private-ip',
    'private_ip',
    'state',
    'tags',
    'updated',
    'uuid',
  ]);
  t.equal(assigned.private_ip, assigned['private-ip']);
  t.end();
});

/** Status, code and message of what the customer is told. */
function told(status: number, body: ServiceError['body']): unknown[] {
  const error = toPublicError(new ServiceError(status, body)) as ServiceError;
  return [error.status, error.body.code, error.body.message];
}

test("napi-nat's errors become CloudAPI's", (t) => {
  t.deepEqual(
    told(404, { code: 'ResourceNotFound', message: 'aip not found' }),
    [404, 'ResourceNotFound', 'aip not found'],
  );
  t.deepEqual(told(409, { code: 'AIPInUse', message: 'in use' }), [
    409,
    'AIPInUse',
    'in use',
  ]);
  t.deepEqual(
    told(422, {
      code: 'InvalidParameters',
      message: 'Invalid parameters',
      errors: [
        invalidParameter('private_ip', 'is odd'),
        invalidParameter('instance', 'is lost'),
      ],
    }),
    [
      409,
      'InvalidArgument',
      'property "private_ip": is odd, property "instance": is lost',
    ],
  );
  t.deepEqual(
    told(422, {
      code: 'InvalidParameters',
      message: 'Invalid parameters',
      errors: [
        { field: 'instance', code: 'MissingParameter', message: 'Missing' },
      ],
    }),
    [409, 'MissingParameter', 'instance must be specified'],
  );
  t.equal(told(412, { code: 'PreconditionFailed', message: 'x' })[0], 412);
  t.end();
});

test('our own trouble is 503 and keeps its details inside', (t) => {
  for (const status of [400, 401, 500, 502, 503]) {
    const [shown, code, message] = told(status, {
      code: 'InternalError',
      message: 'http://10.99.99.10: connect ECONNREFUSED',
    });
    t.deepEqual([shown, code], [503, 'ServiceUnavailableError']);
    t.notOk(String(message).includes('10.99.99.10'), `${status} is opaque`);
  }
  t.deepEqual(told(507, { code: 'SubnetFull', message: 'full' }), [
    503,
    'ServiceUnavailableError',
    'no public address is free at the moment',
  ]);
  const bug = new TypeError('x is not a function');
  t.equal(toPublicError(bug), bug, 'a bug stays a bug');
  t.end();
});
