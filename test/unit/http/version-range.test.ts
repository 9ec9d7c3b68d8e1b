// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Version ranges as Triton's clients send them (facts: cloudapi 1.2). */

import test from 'tape';
import { bestVersion } from '#lib/http/version-range.js';

const CLOUDAPI = ['7.0.0', '7.1.0', '7.2.0', '7.3.0', '8.0.0', '9.0.0'];

test('ranges admit what npm says they admit', (t) => {
  const cases: [string, string | null][] = [
    ['*', '9.0.0'],
    ['x', '9.0.0'],
    ['~9||~8', '9.0.0'],
    ['~8 || ~7', '8.0.0'],
    ['8', '8.0.0'],
    ['~8', '8.0.0'],
    ['~7', '7.3.0'],
    ['~7.2', '7.2.0'],
    ['7.x', '7.3.0'],
    ['7.1', '7.1.0'],
    ['^7.1.0', '7.3.0'],
    ['=7.0.0', '7.0.0'],
    ['v8.0.0', '8.0.0'],
    ['>=7.2.0 <8', '7.3.0'],
    ['>= 7.2.0 < 7.3', '7.2.0'],
    ['>8', '9.0.0'],
    ['<=7', '7.3.0'],
    ['~10', null],
    ['~7.4', null],
    ['6', null],
    ['>9', null],
    ['garbage', null],
    ['1.2.3.4', null],
    ['~~8', null],
    ['<*', null],
  ];
  for (const [range, best] of cases) {
    t.equal(bestVersion(range, CLOUDAPI), best, range);
  }
  t.end();
});

test('a caret below 1.0.0 pins the first number that is not 0', (t) => {
  const versions = ['0.0.3', '0.0.4', '0.2.0', '0.2.5', '0.3.0'];
  t.equal(bestVersion('^0.2.1', versions), '0.2.5');
  t.equal(bestVersion('^0.0.3', versions), '0.0.3');
  t.end();
});
