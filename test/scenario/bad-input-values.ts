// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * For each kind of field the values that it cannot have. A kind that ends in
 * `!` where `bad-input-cases.ts` names it refuses null as well.
 */

import { NODE, OWNER } from './bad-input-world.js';

/** String() of this throws. */
const UNPRINTABLE = { toString: 1, valueOf: 1 };
const OBJECTS = [{}, { a: 1 }, UNPRINTABLE, [UNPRINTABLE], [[]], [null]];
const NO_TEXT = [5, true, ...OBJECTS];
const HOSTILE = ['*', ')(uuid=*', '\\2a', '(|(a=*', 'a\u0000b', '\u0000'];
const UPPER = '1A57A9CE-0000-4000-8000-000000000001';

/** For each kind of field, values that it cannot have. */
export const WRONG: Record<string, unknown[]> = {
  uuid: [
    ...NO_TEXT,
    ...HOSTILE,
    'x'.repeat(9000),
    -1,
    'NaN',
    UPPER,
    `${NODE} `,
  ],
  ip: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    2 ** 32,
    1.5,
    [5],
    ['10.4.4.9'],
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    'fd00::1',
    '10.4.4.9/24',
    '0x7f.1.1.1',
    '10.4.4.9\u0000',
    'x'.repeat(9000),
  ],
  ips: [
    ...OBJECTS.slice(0, 4),
    true,
    5,
    'x',
    ['x'],
    ['1.2.3.4', null, 'y'],
    ['1.2.3.4', [5]],
    '*',
  ],
  mac: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    2 ** 48,
    1.5,
    '90:b8:d0',
    '90:b8:d0:00:00:zz',
    '90:b8:d0:00:00:00:00',
    [1],
  ],
  text: [...NO_TEXT, 'x'.repeat(9000), 'a\u0000b', 'a\u001bb', '\ud800'],
  word: [...NO_TEXT, ...HOSTILE, 'x', 'constructor', '__proto__'],
  bool: [...OBJECTS, 5, -1, 'yes', 'TRUE', 'x', ['true']],
  vlan: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    4095,
    1e9,
    1.5,
    'NaN',
    '0x10',
    '1e2',
    ' ',
    [2],
    '2 ',
  ],
  count: [
    ...OBJECTS,
    ...HOSTILE,
    true,
    -1,
    1.5,
    'NaN',
    '-1',
    '0x10',
    1e300,
    [2],
  ],
  mtu: [...NO_TEXT, -1, 0, 9001, 1.5, '1500', 'NaN'],
  subnet: [
    ...NO_TEXT,
    ...HOSTILE,
    '10.9.9.0',
    '10.9.9.0/33',
    '10.9.9.0/7',
    '10.9.9.0/-1',
    '300.9.9.0/24',
    'fd00::/7',
    'fd00::1/64',
    'fd00::/129',
    '10.9.9.0/24/8',
    '/',
  ],
  routes: [
    5,
    true,
    'x',
    [],
    { x: '10.4.4.9' },
    { '1.2.3.4': 'x' },
    { '1.2.3.4': UNPRINTABLE },
    { '1.2.3.4': [5] },
    { '1.2.3.0/99': '1.2.3.4' },
  ],
  tags: [
    5,
    true,
    'x',
    [],
    { a: {} },
    { a: null },
    { '': 'x' },
    { a: 'x'.repeat(9000) },
    { ['k'.repeat(500)]: 1 },
  ],
  texts: [...OBJECTS, 5, true, [5], ['a', null], [UNPRINTABLE], [' ']],
  uuids: [...OBJECTS, 5, true, ['x'], [OWNER, UPPER], [OWNER, null], '*'],
  fields: [...OBJECTS, 5, 'x', ['x'], ['uuid', 'constructor'], []],
};

WRONG['word_name'] = [
  ...NO_TEXT,
  ...HOSTILE,
  'x'.repeat(32),
  'a b',
  'a/b',
  'é',
];
WRONG['prefix'] = [...(WRONG['mtu'] as unknown[]), 23, 25, '24'];
WRONG['members'] = [...(WRONG['uuids'] as unknown[]), [], '', NODE];
WRONG['macs'] = [
  ...OBJECTS,
  5,
  true,
  'x',
  [],
  ['90:b8:d0:00:00'],
  [5],
  ['90:b8:d0:ff:ff:ff'],
];
WRONG['vnet'] = [...(WRONG['count'] as unknown[]), 2 ** 24];
WRONG['fixed'] = [...OBJECTS, 5, 'x', false, 'false'];
WRONG['texts_any'] = [{}, 5, true, 'x', [5], [null], UNPRINTABLE];
