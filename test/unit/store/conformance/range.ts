// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: dates and ranges of numbers or dates match, sort or are
 * unique otherwise than moray's, which are PostgreSQL's.
 */

import type { Test } from 'tape';
import type { Store } from '#lib/store/types.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const INDEX = {
  at: { type: 'date' as const },
  n: { type: 'number' as const },
  sizes: { type: '[number]' as const },
  span: { type: 'numrange' as const },
  term: { type: 'daterange' as const, unique: true },
};

/** New Year's Day, at midnight, in UTC. */
const newYear = (year: number) => `${year}-01-01T00:00:00Z`;

async function filled(t: Test): Promise<Store> {
  const store = await temporaryStore(t);
  await store.createBucket('things', { index: INDEX });
  const values: Record<string, object> = {
    a: { n: -20, span: '[-15,-5]', at: '1969-12-31T23:59:59.999Z' },
    b: { n: -0.5, span: '(5,15)', at: newYear(2000), sizes: [1, 30] },
    c: { n: 10, span: '(,15]', at: '2000-01-01T00:00:00.001Z' },
    d: { n: 20, span: '[5,)', term: `[${newYear(1900)},${newYear(2000)})` },
    e: { span: '[7,7)', term: `(${newYear(2000)},)`, sizes: [8] },
    f: { span: '[5.0,15.0)', term: `[,${newYear(1900)}]` },
    g: { at: null, span: null, term: null },
  };
  for (const [key, value] of Object.entries(values)) {
    await store.putObject('things', key, value);
  }
  return store;
}

async function keys(store: Store, filter: string, sort = '_key') {
  const [, attribute = '', order] = /^(\w+)( DESC)?$/.exec(sort) ?? [];
  const found = await store.findObjects('things', filter, {
    sort: [
      { attribute, order: order === undefined ? 'ASC' : 'DESC' },
      { attribute: '_key' },
    ],
    requireIndexes: true,
  });
  return found.objects.map(({ key }) => key).join(' ');
}

onEachEngine('what is within, contains and overlaps', async (t) => {
  const store = await filled(t);
  const cases: [string, string][] = [
    ['(n:within:=[-20,10])', 'a b c'],
    ['(n:within:=\\(-20,10\\))', 'b'],
    ['(n:within:=[-0.5,-0.5])', 'b'],
    ['(n:within:=[10,10\\))', ''],
    ['(n:within:=[,0\\))', 'a b'],
    ['(n:within:=\\(10,])', 'd'],
    ['(n:within:=[,])', 'a b c d'],
    ['(sizes:within:=[5,10])', 'e'],
    ['(sizes:within:=[10,40])', 'b'],
    ['(at:within:=[1969-01-01T00:00:00Z,2000-01-01T00:00:00Z])', 'a b'],
    ['(at:within:=\\(2000-01-01T00:00:00Z,\\))', 'c'],
    ['(at:within:=[,2000-01-01T00:00:00.000Z\\))', 'a'],
    ['(span:contains:=-15)', 'a c'],
    ['(span:contains:=-4.5)', 'c'],
    ['(span:contains:=5)', 'c d f'],
    ['(span:contains:=7)', 'b c d f'],
    ['(span:contains:=15)', 'c d'],
    ['(span:contains:=1000000)', 'd'],
    ['(span:overlaps:=[0,5])', 'c d f'],
    ['(span:overlaps:=[0,5\\))', 'c'],
    ['(span:overlaps:=\\(15,20])', 'd'],
    ['(span:overlaps:=[15,20])', 'c d'],
    ['(span:overlaps:=[,])', 'a b c d f'],
    ['(span:overlaps:=[7,7\\))', ''],
    ['(!(span:overlaps:=[,]))', 'e g'],
    ['(term:contains:=1900-01-01T00:00:00Z)', 'd f'],
    ['(term:contains:=2000-01-01T00:00:00Z)', ''],
    ['(term:contains:=2999-12-31T23:59:59.999Z)', 'e'],
    ['(term:overlaps:=[1950-01-01T00:00:00Z,2000-01-01T00:00:00Z])', 'd'],
    ['(term:overlaps:=[1950-01-01T00:00:00Z,2000-01-01T00:00:01Z])', 'd e'],
    ['(&(span:contains:=7)(n>=10))', 'c d'],
  ];
  for (const [filter, wanted] of cases) {
    t.equal(await keys(store, filter), wanted, filter);
  }
});

onEachEngine('dates and ranges have PostgreSQL’s order', async (t) => {
  const store = await filled(t);
  const cases: [string, string, string][] = [
    ['(at>=2000-01-01T00:00:00Z)', 'at', 'b c'],
    ['(at<=2000-01-01T00:00:00Z)', 'at DESC', 'b a'],
    ['(at=2000-01-01T00:00:00.000Z)', 'at', 'b'],
    ['(!(at=*))', '_key', 'd e f g'],
    // Empty, infinite lower bound, then by bounds; unset is last.
    ['(_id>=0)', 'span', 'e c a f d b g'],
    ['(span=*)', 'span DESC', 'b d f a c e'],
    ['(span=[5,15\\))', 'span', 'f'],
    ['(span=\\(3,3\\))', 'span', 'e'],
    ['(span>=[5,15\\))', 'span', 'f d b'],
    ['(span<=\\(,15])', 'span', 'e c'],
    ['(term=*)', 'term', 'f d e'],
  ];
  for (const [filter, sort, wanted] of cases) {
    t.equal(await keys(store, filter, sort), wanted, `${filter} by ${sort}`);
  }
});

onEachEngine('a range is unique however it is written', async (t) => {
  const store = await filled(t);
  const [from, to] = ['1900-01-01T00:00:00.000Z', '2000-01-01T00:00:00.0Z'];
  const put = (term: string) => store.putObject('things', 'x', { term });
  await storeFails(t, put(`[${from},${to})`), 'UniqueAttributeError', 'equal');
  await put(`[${from},${to}]`);
  await put(`(${from},${to})`);
});

onEachEngine('an update writes a date as moray does', async (t) => {
  const store = await filled(t);
  await store.updateObjects('things', { at: newYear(2020) }, '(n=10)');
  const { value } = await store.getObject('things', 'c');
  t.equal(value['at'], '2020-01-01T00:00:00.000Z');
  t.equal(await keys(store, '(at>=2019-01-01T00:00:00Z)'), 'c');
});

onEachEngine('values that are no date or range are refused', async (t) => {
  const store = await filled(t);
  const wrong: [string, unknown[]][] = [
    [
      'at',
      [
        5,
        true,
        '2016-06-05',
        '2016-06-05T16:23:04.776',
        '2016-06-05 16:23:04Z',
      ].concat('2016-13-05T16:23:04Z', '2016-06-05T16:23:04+01:00', ''),
    ],
    ['span', [5, '5', '[5]', '{5,6}', '[5,6', '[a,b]', '[6,5]', '[1e3,]', '']],
    ['span', ['[ 1,2]', 'empty', ['[1,2]'], '[0x10,]', '[1,2,3]']],
    ['term', ['[,2016-06-05]', `[${newYear(2001)},${newYear(2000)}]`, '[1,2]']],
  ];
  for (const [field, values] of wrong) {
    for (const value of values) {
      const put = store.putObject('things', 'x', { [field]: value });
      const what = `${field}: ${JSON.stringify(value)}`;
      await storeFails(t, put, 'InvalidIndexTypeError', what);
    }
  }
  await storeFails(
    t,
    store.updateObjects('things', { at: 'soon' }, '(n=10)'),
    'InvalidIndexTypeError',
    'an update',
  );
});

onEachEngine('matches that the type of a field has not', async (t) => {
  const store = await filled(t);
  const invalid = [
    ...['5', 'foo', '{5,6}', '[5,6', '[foo,bar]', '[6,5]'].flatMap((value) => [
      `(n:within:=${value})`,
      `(at:within:=${value})`,
      `(span:overlaps:=${value})`,
      `(term:overlaps:=${value})`,
    ]),
    '(span:contains:=[1,2])',
    '(span:contains:=foo)',
    '(term:contains:=2016-06-05)',
    '(term:contains:=5)',
    '(span:within:=[,])',
    '(term:within:=[,])',
    '(n:overlaps:=[,])',
    '(n:contains:=5)',
    '(at:contains:=2016-06-05T16:23:04Z)',
    '(at:overlaps:=[,])',
    '(at>=2016)',
    '(span=5)',
    '(at=2016*)',
  ];
  for (const filter of invalid) {
    const find = store.findObjects('things', filter);
    await storeFails(t, find, 'InvalidQueryError', filter);
  }
  const bare = ['(x:within:=[1,2])', '(&(n=10)(x:contains:=5))'];
  for (const filter of bare) {
    const find = store.findObjects('things', filter);
    await storeFails(t, find, 'NotIndexedError', filter);
  }
});

onEachEngine('an address and the subnets that it is in', async (t) => {
  const store = await temporaryStore(t);
  const index = {
    ip: { type: 'ip' as const },
    net: { type: 'subnet' as const },
  };
  await store.createBucket('things', { index });
  await store.putObject('things', 'a', { ip: '10.0.0.1', net: '10.0.0.1/32' });
  await store.putObject('things', 'b', { ip: '10.0.0.2', net: '10.0.0.0/31' });
  await store.putObject('things', 'c', { ip: 'fd00::1', net: 'fd00::/64' });
  const cases: [string, string][] = [
    ['(ip:within:=10.0.0.0/31)', 'a'],
    ['(ip:within:=10.0.0.1/32)', ''],
    ['(net:contains:=10.0.0.1)', 'b'],
    ['(net:contains:=fd00::ffff)', 'c'],
    ['(net:contains:=10.0.0.1/32)', 'a b'],
    ['(net:overlaps:=10.0.0.0/8)', 'a b'],
    ['(net:within:=10.0.0.0/31)', 'a b'],
  ];
  for (const [filter, wanted] of cases) {
    t.equal(await keys(store, filter), wanted, filter);
  }
  for (const filter of ['(ip:within:=10.0.0.1)', '(ip:contains:=10.0.0.1)']) {
    const find = store.findObjects('things', filter);
    await storeFails(t, find, 'InvalidQueryError', filter);
  }
});
