// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: finds that miss or add objects by type, count or order, and
 * indexed finds that read the whole bucket.
 */

import type { Test } from 'tape';
import type { FindOptions, Store } from '#lib/store/types.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const BUCKET = {
  index: {
    name: { type: 'string' as const },
    vnet_id: { type: 'number' as const },
    fabric: { type: 'boolean' as const },
    ipaddr: { type: 'ip' as const },
    subnet: { type: 'subnet' as const },
    mac: { type: 'mac' as const },
    owner: { type: 'uuid' as const, unique: true },
    owners: { type: '[string]' as const },
  },
};

async function keys(
  store: Store,
  filter: string,
  options: FindOptions = {},
): Promise<string> {
  const found = await store.findObjects('nets', filter, {
    sort: { attribute: '_key' },
    ...options,
  });
  return found.objects.map(({ key }) => key).join(' ');
}

async function filled(t: Test): Promise<Store> {
  const store = await temporaryStore(t);
  await store.createBucket('nets', BUCKET);
  const values: Record<string, object> = {
    a: { name: 'Alpha', vnet_id: 9, fabric: true, subnet: '10.0.0.0/8' },
    b: { name: 'beta', vnet_id: 10, fabric: false, subnet: '10.1.0.0/16' },
    c: { name: 'gamma(x)', vnet_id: 100, subnet: '10.1.2.0/24', note: 7 },
    d: { ipaddr: '9.0.0.200', mac: 0x10, owners: ['x', 'y'] },
    e: { ipaddr: '10.1.2.3', owners: [], subnet: '192.168.0.0/16' },
  };
  for (const [key, value] of Object.entries(values)) {
    await store.putObject('nets', key, value);
  }
  return store;
}

onEachEngine('terms compare by the type of their index', async (t) => {
  const store = await filled(t);
  const cases: [string, string][] = [
    ['(vnet_id>=10)', 'b c'],
    ['(vnet_id<=10)', 'a b'],
    ['(&(vnet_id>=10)(vnet_id<=50))', 'b'],
    ['(ipaddr<=9.255.255.255)', 'd'],
    ['(ipaddr>=10.0.0.0)', 'e'],
    ['(fabric=true)', 'a'],
    ['(!(fabric=true))', 'b c d e'],
    ['(!(fabric=*))', 'c d e'],
    ['(mac=00:00:00:00:00:10)', 'd'],
    ['(owners=x)', 'd'],
    ['(owners=*)', 'd e'],
    ['(!(owners=*))', 'a b c'],
    ['(name=gam*)', 'c'],
    ['(name=*a)', 'a b'],
    ['(name=g*m*a*)', 'c'],
    ['(name=gamma\\(x\\))', 'c'],
    ['(name:caseIgnoreMatch:=ALPHA)', 'a'],
    ['(name:caseIgnoreSubstringsMatch:=*ET*)', 'b'],
    ['(subnet:contains:=10.1.2.3)', 'a b c'],
    ['(subnet:contains:=10.1.0.0/17)', 'a b'],
    ['(subnet:within:=10.1.0.0/16)', 'b c'],
    ['(subnet:overlaps:=10.1.3.0/24)', 'a b'],
    ['(ipaddr:within:=10.1.2.0/24)', 'e'],
    ['(&(vnet_id=100)(note=7))', 'c'],
    ['(|(vnet_id=9)(name=beta))', 'a b'],
    ['(_key=c)', 'c'],
    ['(_id=2)', 'b'],
    ['(&(_id>=2)(!(_id>=4)))', 'b c'],
    ['(name=constructor)', ''],
  ];
  for (const [filter, wanted] of cases) {
    t.equal(await keys(store, filter), wanted, filter);
  }
});

onEachEngine(
  'filters without a usable index or of the wrong type fail',
  async (t) => {
    const store = await filled(t);
    const find = (filter: string) => store.findObjects('nets', filter);
    const bare = ['(note=7)', '(!(note=7))', '(|(vnet_id=9)(note=7))'];
    for (const filter of [...bare, '(constructor=x)']) {
      await storeFails(t, find(filter), 'NotIndexedError', filter);
    }
    const wrong = ['(vnet_id=x)', '(vnet_id=1*)', '(owners=x*)', '(ipaddr>=x)'];
    for (const filter of wrong) {
      await storeFails(t, find(filter), 'InvalidQueryError', filter);
    }
    await storeFails(
      t,
      store.findObjects('none', '(a=1)'),
      'BucketNotFoundError',
      'no bucket',
    );
  },
);

onEachEngine('sorting, limit and offset; the count ignores them', async (t) => {
  const store = await filled(t);
  const sort = (attribute: string, order?: 'ASC' | 'DESC') => ({
    sort: order === undefined ? { attribute } : { attribute, order },
  });
  const all = '(_id>=0)';
  t.equal(await keys(store, all, sort('vnet_id')), 'a b c d e');
  t.equal(await keys(store, all, sort('vnet_id', 'DESC')), 'd e c b a');
  t.equal(await keys(store, all, sort('ipaddr')), 'd e a b c');
  t.equal(await keys(store, all, { limit: 2, offset: 1 }), 'b c');
  t.equal(await keys(store, all, { limit: 0 }), '');
  const found = await store.findObjects('nets', all, { limit: 1 });
  t.equal(found.count, 5);
  await storeFails(
    t,
    store.findObjects('nets', all, sort('note')),
    'NotIndexedError',
    'sort by a field without index',
  );
});

onEachEngine('the default limit is 1000 and noLimit lifts it', async (t) => {
  const store = await temporaryStore(t);
  await store.createBucket('nets', BUCKET);
  await store.batch(
    Array.from({ length: 1001 }, (_, i) => ({
      bucket: 'nets',
      key: `k${i}`,
      value: { vnet_id: i },
    })),
  );
  const some = await store.findObjects('nets', '(vnet_id=*)');
  t.deepEqual([some.objects.length, some.count], [1000, 1001]);
  const all = await store.findObjects('nets', '(vnet_id=*)', { noLimit: true });
  t.equal(all.objects.length, 1001);
});

onEachEngine(
  'values beyond the length of a key are still told apart',
  async (t) => {
    const store = await temporaryStore(t);
    await store.createBucket('nets', {
      index: { name: { type: 'string', unique: true } },
    });
    const long = 'x'.repeat(5000);
    await store.putObject('nets', 'a', { name: `${long}a` });
    await store.putObject('nets', 'b', { name: `${long}b` });
    t.equal(await keys(store, `(name=${long}b)`), 'b');
    t.equal(await keys(store, `(name>=${long}b)`), 'b');
    t.equal(await keys(store, `(name<=${long}a)`), 'a');
    t.equal(await keys(store, `(name=${long}*)`), 'a b');
    await storeFails(
      t,
      store.putObject('nets', 'c', { name: `${long}a` }),
      'UniqueAttributeError',
      'the same long value',
    );
  },
);
