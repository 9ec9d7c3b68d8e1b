// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: values sort or compare as text where they are numbers or
 * addresses, so ranges and sorting give wrong objects.
 */

import test from 'tape';
import { decodeText, encodeText } from '#lib/store/keys.js';
import { coerce, encodeScalar } from '#lib/store/scalar.js';
import type { ScalarIndexType } from '#lib/store/types.js';

const ASCENDING: [ScalarIndexType, unknown[]][] = [
  ['number', [-1e300, -10, -9.5, -1e-9, 0, 1e-9, 2, 10, 2 ** 53, 1e300]],
  ['string', ['', '\u0000', '\u0001', '\u0001a', 'a', 'a\u0000b', 'ab', 'é']],
  ['string', ['\uffff', '\u{10000}', '\u{10ffff}']],
  ['ip', ['9.0.0.1', '10.0.0.1', '10.0.0.10', '192.168.0.1', '::1', 'fd00::1']],
  ['subnet', ['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/24', '10.0.1.0/24']],
  ['mac', ['00:00:00:00:00:02', 0x10, '90:b8:d0:00:00:00']],
  ['boolean', [false, true]],
  [
    'date',
    [
      '-000001-01-01T00:00:00Z',
      '1969-01-01T00:00:00Z',
      '2000-01-01T00:00:00Z',
    ].concat('2000-01-01T00:00:00.001Z', '9999-12-31T23:59:59.999Z'),
  ],
  ['numrange', ['(0,0)', '(,-1)', '(,-1]', '[,]', '[-1,0]', '(-1,0)', '(-1,)']],
];

for (const [type, values] of ASCENDING) {
  test(`${type} values keep their order as keys`, (t) => {
    const texts = values.map((value) => encodeScalar(type, value));
    t.notOk(texts.includes(null), 'all are of the type');
    t.deepEqual([...texts].sort(), texts);
    t.equal(new Set(texts).size, texts.length, 'none are the same');
    t.end();
  });
}

test('the same value written in two ways is one value', (t) => {
  const same: [ScalarIndexType, unknown, unknown][] = [
    ['ip', '10.0.0.1', '::ffff:a00:1'],
    ['ip', 'FD00:0:0::1', 'fd00::1'],
    ['ip', '10.0.0.1', 0x0a000001],
    ['number', '5', 5],
    ['number', 0, -0],
    ['boolean', 'TRUE', true],
    ['mac', '90:b8:d0:d6:26:6e', 0x90b8d0d6266e],
    [
      'uuid',
      'DE305D54-75B4-431B-ADB2-EB6B9E546014',
      'de305d54-75b4-431b-adb2-eb6b9e546014',
    ],
    ['subnet', '10.1.2.3/8', '10.0.0.0/8'],
    ['date', '2000-01-01T00:00:00Z', '2000-01-01T00:00:00.000Z'],
    ['numrange', '[-0,1.50]', '[0.0,1.5]'],
    ['numrange', '[,5)', '(,5)'],
    ['numrange', '[1,1)', '(9,9]'],
    ['daterange', '[2000-01-01T00:00:00Z,)', '[2000-01-01T00:00:00.0Z,]'],
  ];
  for (const [type, a, b] of same) {
    t.equal(encodeScalar(type, a), encodeScalar(type, b), `${a} is ${b}`);
  }
  t.end();
});

test('what is not of a type is refused', (t) => {
  const wrong: [ScalarIndexType, unknown][] = [
    ['number', 'x'],
    ['number', ''],
    ['number', Number.NaN],
    ['ip', '10.0.0'],
    ['ip', '010.0.0.1'],
    ['ip', 'fe80::1%eth0'],
    ['ip', -1],
    ['subnet', '10.0.0.0/33'],
    ['subnet', '10.0.0.0'],
    ['mac', '90:b8'],
    ['uuid', 'admin'],
    ['boolean', 1],
    ['string', {}],
  ];
  for (const [type, value] of wrong) {
    t.equal(encodeScalar(type, value), null, `${String(value)} as ${type}`);
    t.equal(coerce(type, value), null);
  }
  t.end();
});

test('keys of any text come back as they were', (t) => {
  for (const text of [
    '',
    'plain',
    '\u0000\u0001\u0002',
    'é𝒳',
    'a\u0001\u0001',
  ]) {
    t.equal(decodeText(encodeText(text)), text);
    t.notOk(encodeText(text).includes('\0'), 'without a NUL');
  }
  t.end();
});
