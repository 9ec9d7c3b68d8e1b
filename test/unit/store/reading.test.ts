// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: the embedded engine reads the whole bucket for a find that
 * an index answers, or for a page of a list.
 */

import test from 'tape';
import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { levelStore } from '#test/tmp-store.js';

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

test('an indexed find reads its matches, not the bucket', async (t) => {
  const store = await levelStore(t);
  await store.createBucket('nets', BUCKET);
  const count = 5000;
  await store.batch(
    Array.from({ length: count }, (_, i) => ({
      bucket: 'nets',
      key: `k${i}`,
      value: {
        vnet_id: i % 1000,
        fabric: i % 2 === 0,
        ...(i % 1000 === 7 ? {} : { name: `n${i}` }),
        ipaddr: `10.0.${i >> 8}.${i & 255}`,
        owners: [`o${i % 500}`, 'everybody'],
      },
    })),
  );
  const cases: [string, number][] = [
    ['(vnet_id=5)', 5],
    ['(&(fabric=true)(vnet_id=6))', 5],
    ['(&(owners=everybody)(owners=o3)(fabric=false))', 10],
    ['(ipaddr=10.0.3.7)', 1],
    ['(&(ipaddr>=10.0.3.0)(ipaddr<=10.0.3.9))', 10],
    ['(ipaddr:within:=10.0.3.0/28)', 16],
    ['(name=n499*)', 11],
    ['(&(!(name=*))(fabric=false))', 5],
    ['(|(vnet_id=1)(vnet_id=2))', 10],
    ['(&(_key=k9)(fabric=false))', 1],
  ];
  for (const [filter, matches] of cases) {
    const before = { ...store.statistics };
    const found = await store.findObjects('nets', filter);
    const entries = store.statistics.entries - before.entries;
    const objects = store.statistics.objects - before.objects;
    t.equal(found.count, matches, filter);
    t.ok(objects <= 2 * matches + 10, `fetched ${objects} objects`);
    t.ok(entries <= 6 * matches + 200, `read ${entries} entries`);
  }
});

test('a page of a list reads the page, not all matches', async (t) => {
  const store = await levelStore(t);
  await store.createBucket('nets', BUCKET);
  const count = 5000;
  await store.batch(
    Array.from({ length: count }, (_, i) => ({
      bucket: 'nets',
      key: `k${String(count - i).padStart(5, '0')}`,
      value: { vnet_id: count - i, fabric: i % 10 !== 0 },
    })),
  );
  const numbers = (from: number, length: number) =>
    Array.from({ length }, (_, i) => from + i);
  const cases: [string, string | undefined, number, number[]][] = [
    ['(fabric=*)', 'vnet_id', 0, numbers(1, 20)],
    ['(fabric=*)', '_key', 100, numbers(101, 20)],
    ['(fabric=*)', undefined, 0, numbers(4981, 20).reverse()],
    ['(&(_id>=3001)(fabric=*))', '_id', 0, numbers(1981, 20).reverse()],
    ['(fabric=*)', 'vnet_id _key', 0, numbers(1, 20)],
    ['(_id>=4991)', '_id', 0, numbers(1, 10).reverse()],
    ['(&(vnet_id>=0)(vnet_id>=4000))', 'vnet_id _key', 0, numbers(4000, 20)],
  ];
  const sortBy = (words: string) =>
    words.split(' ').map((attribute) => ({ attribute }));
  for (const [filter, attribute, offset, wanted] of cases) {
    const before = { ...store.statistics };
    const { objects } = await store.findObjects('nets', filter, {
      ...(attribute === undefined ? {} : { sort: sortBy(attribute) }),
      limit: 20,
      offset,
      noCount: true,
    });
    const what = `${filter} by ${attribute}`;
    t.deepEqual(
      objects.map(({ value }) => value['vnet_id']),
      wanted,
      what,
    );
    const read = store.statistics.objects - before.objects;
    t.ok(read <= 2 * (offset + 20) + 40, `${what}: ${read} objects`);
    const entries = store.statistics.entries - before.entries;
    t.ok(entries <= 6 * (offset + 20) + 200, `${what}: ${entries} entries`);
  }
});

test('few that are far away are found by their index', async (t) => {
  const store = await levelStore(t);
  await store.createBucket('nets', BUCKET);
  const count = 20_000;
  await store.batch(
    Array.from({ length: count }, (_, i) => ({
      bucket: 'nets',
      key: `k${i}`,
      value: { vnet_id: i, name: i < count - 500 ? 'common' : 'rare' },
    })),
  );
  const page = { limit: 20, noCount: true, sort: { attribute: 'vnet_id' } };
  for (const name of ['rare', 'common']) {
    const before = { ...store.statistics };
    const filter = `(&(vnet_id>=0)(name=${name}))`;
    const { objects } = await store.findObjects('nets', filter, page);
    const first = name === 'rare' ? count - 500 : 0;
    t.deepEqual(
      objects.map(({ value }) => value['vnet_id']),
      Array.from({ length: 20 }, (_, i) => first + i),
      name,
    );
    const read = store.statistics.objects - before.objects;
    t.ok(read < 2000, `${name}: ${read} objects`);
  }
});

test('filling a subnet does not read it again and again', async (t) => {
  const s = await levelStore(t);
  await s.createBucket('ips', {
    index: { ip: { type: 'ip', unique: true } },
  });
  const from = 10 * 2 ** 24;
  const count = 1000;
  for (let i = 0; i < count; i += 1) {
    const gap = await s.findGap('ips', 'ip', from, from + 5000);
    const ip = formatIpv4(ipv4(gap?.start ?? 0));
    await s.putObject('ips', ip, { ip }, { etag: null });
  }
  const { entries } = s.statistics;
  t.ok(entries < 3 * count, `${entries} entries read for ${count} addresses`);
});
