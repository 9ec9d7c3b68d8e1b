// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Every wrong parameter is named; every right one is read as it was meant. */

import test from 'tape';
import type { ServiceError } from '#lib/errors.js';
import {
  readAipInput,
  readListInput,
  readReally,
} from '../../../services/cloudapi-aip/aips/input.js';

const UUID = '564d69b1-a178-486c-9f87-1e7f0b7a4e22';

function faults(read: () => unknown): string[] {
  try {
    read();
    return [];
  } catch (error) {
    const { status, body } = error as ServiceError;
    const fields = (body.errors ?? []).map((e) => String(e['field']));
    return [`${status} ${body.code}`, ...fields];
  }
}

test('RFD 158 names and CloudAPI names are both read', (t) => {
  t.deepEqual(readAipInput('UpdateAIP', { 'private-ip': '10.0.0.1' }).input, {
    private_ip: '10.0.0.1',
  });
  t.deepEqual(readAipInput('UpdateAIP', { private_ip: '10.0.0.1' }).input, {
    private_ip: '10.0.0.1',
  });
  t.deepEqual(
    faults(
      () =>
        readAipInput('UpdateAIP', {
          private_ip: '10.0.0.1',
          'private-ip': '10.0.0.2',
        }).input,
    ),
    ['409 InvalidArgument', 'private_ip'],
    'two names that differ',
  );
  t.end();
});

test('text from a query means what it says', (t) => {
  t.deepEqual(
    readAipInput('UpdateAIP', { remap: 'true', instance: UUID }).input,
    {
      instance: UUID,
      remap: true,
    },
  );
  t.equal(readReally({ 'really-delete': 'true' }), true);
  t.equal(readReally({}), false);
  t.deepEqual(readListInput({ limit: '3', offset: '4', marker: UUID }), {
    limit: 3,
    offset: 4,
    marker: UUID,
    tags: {},
  });
  t.end();
});

test('all faults are reported at once, each with its field', (t) => {
  t.deepEqual(
    faults(() =>
      readAipInput('UpdateAIP', {
        instance: UUID.toUpperCase(),
        private_ip: '10.0.0.256',
        description: 7,
        tags: { a: { b: 1 } },
        remap: 'yes',
      }),
    ),
    [
      '409 InvalidArgument',
      'instance',
      'private_ip',
      'remap',
      'description',
      'tags',
    ],
  );
  for (const limit of ['0', '1001', 'x', '', 1.5, [1]]) {
    t.deepEqual(
      faults(() => readListInput({ limit })),
      ['409 InvalidArgument', 'limit'],
      JSON.stringify(limit),
    );
  }
  t.end();
});

test('absent and null are the same: not given', (t) => {
  t.deepEqual(readAipInput('UpdateAIP', { instance: null }).input, {});
  t.deepEqual(readListInput({}), {
    limit: 1000,
    offset: 0,
    tags: {},
  });
  t.end();
});
