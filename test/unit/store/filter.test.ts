// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: filters that NAPI and its clients write are read wrongly,
 * or a user's text changes what a filter means.
 */

import test from 'tape';
import { parseFilter } from '#lib/store/filter.js';
import { and, eq, ge, not, or, present } from '#lib/store/filter-text.js';
import { isStoreError } from '#lib/store/types.js';

test('every form of term is read', (t) => {
  const equal = (field: string, value: string) => ({
    kind: 'eq',
    field,
    value,
  });
  const cases: [string, object][] = [
    ['(a=v)', equal('a', 'v')],
    ['a=v', equal('a', 'v')],
    [' ( a=v w ) ', equal('a', 'v w ')],
    ['(a=)', equal('a', '')],
    ['(a=*)', { kind: 'present', field: 'a' }],
    ['(a>=5)', { kind: 'ge', field: 'a', value: '5' }],
    ['(a<=5)', { kind: 'le', field: 'a', value: '5' }],
    ['(a=x*y*)', { kind: 'substring', field: 'a', parts: ['x', 'y', ''] }],
    ['(!(a=v))', { kind: 'not', term: equal('a', 'v') }],
    [
      '(&(a=v)(|(b=1)(c=2)))',
      {
        kind: 'and',
        terms: [
          equal('a', 'v'),
          { kind: 'or', terms: [equal('b', '1'), equal('c', '2')] },
        ],
      },
    ],
    [
      '(a:caseIgnoreMatch:=V)',
      { kind: 'ext', field: 'a', rule: 'caseIgnoreMatch', value: 'V' },
    ],
    [
      '(s:contains:=10.0.0.1)',
      { kind: 'ext', field: 's', rule: 'contains', value: '10.0.0.1' },
    ],
  ];
  for (const [text, filter] of cases) {
    t.deepEqual(parseFilter(text), filter, text);
  }
  t.end();
});

test('both ways to escape are read', (t) => {
  const value = (text: string) => {
    const filter = parseFilter(text);
    return filter.kind === 'eq' ? filter.value : filter.kind;
  };
  t.equal(value('(a=\\(x\\)\\*\\\\)'), '(x)*\\');
  t.equal(value('(a=\\28x\\29\\2a\\5c)'), '(x)*\\');
  t.equal(value('(a=\\c3\\a9é)'), 'éé', 'bytes of UTF-8');
  t.end();
});

test('what is no filter is refused with the place', (t) => {
  const bad = [
    '',
    '()',
    '(a)',
    '(a=v',
    '(a=v))',
    '(a=(v)',
    '(&)',
    '(!(a=v)(b=v))',
    '(a~=v)',
    '(a>v)',
    '(a:nothing:=v)',
    '(a>=x*)',
    '(a=\\',
    'a=v)(b=*',
    '('.repeat(100),
  ];
  for (const text of bad) {
    try {
      t.fail(`${text} was read as ${JSON.stringify(parseFilter(text))}`);
    } catch (error) {
      t.ok(isStoreError(error, 'InvalidQueryError'), `${text}: ${error}`);
    }
  }
  t.end();
});

test('a value cannot change the filter that it is put into', (t) => {
  for (const value of ['*', ')(b=*', '\\', '\\28', '\u0000', 'é𝒳', '']) {
    t.deepEqual(parseFilter(and(eq('a', value), not(present('b')))), {
      kind: 'and',
      terms: [
        { kind: 'eq', field: 'a', value },
        { kind: 'not', term: { kind: 'present', field: 'b' } },
      ],
    });
  }
  t.equal(or(eq('a', 1)), '(a=1)', 'one term alone is itself');
  t.throws(() => and(), /at least one/);
  t.throws(() => ge('a)(b', 1), /cannot be a field/);
  t.end();
});
