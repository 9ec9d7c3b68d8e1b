// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Field errors name the field that a person would look for. */

import test from 'tape';
import { compile } from '#lib/schema/validate.js';

const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'zones'],
  properties: {
    name: { type: 'string' },
    kind: { enum: ['arp', 'bgp'] },
    mtu: { type: 'integer', description: 'must be an MTU' },
    zones: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['ip'],
        properties: { ip: { type: 'string', pattern: '^[0-9.]+$' } },
      },
    },
  },
};

function errorsOf(value: unknown): unknown {
  const checked = compile(SCHEMA)(value);
  return 'errors' in checked ? checked.errors : 'valid';
}

test('what fits comes back as it is', (t) => {
  const value = { name: 'a', zones: [{ ip: '1.2.3.4' }] };
  const checked = compile(SCHEMA)(value);
  t.ok('value' in checked && checked.value === value);
  t.end();
});

test('every error is found, named and sorted', (t) => {
  t.deepEqual(errorsOf({ kind: 'x', mtu: 'big', zones: [{ ip: 1 }, {}] }), [
    {
      field: 'kind',
      code: 'InvalidParameter',
      message: 'must be one of: "arp", "bgp"',
    },
    { field: 'mtu', code: 'InvalidParameter', message: 'must be an MTU' },
    { field: 'name', code: 'MissingParameter', message: 'Missing parameter' },
    {
      field: 'zones[0].ip',
      code: 'InvalidParameter',
      message: 'must be string',
    },
    {
      field: 'zones[1].ip',
      code: 'MissingParameter',
      message: 'Missing parameter',
    },
  ]);
  t.end();
});

test('unknown names are one error with all of them', (t) => {
  t.deepEqual(errorsOf({ name: 'a', b: 1, a: 2, zones: [{ ip: '1', x: 1 }] }), [
    {
      field: ['b', 'a', 'zones[0].x'],
      code: 'UnknownParameters',
      message: 'Unknown parameters: b, a, zones[0].x',
    },
  ]);
  t.end();
});

test('something that is no object says so', (t) => {
  t.deepEqual(errorsOf([]), [
    {
      field: 'parameters',
      code: 'InvalidParameter',
      message: 'must be object',
    },
  ]);
  t.end();
});

test('a wrong schema is refused at once', (t) => {
  t.throws(() => compile({ type: 'objet' }));
  t.throws(() => compile({ type: 'object', propertees: {} }));
  t.end();
});
