// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: addresses that are taken are offered, or free ones are
 * not; filling a subnet takes longer with every address.
 */

import test, { type Test } from 'tape';
import { formatIpv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import type { Store } from '#lib/store/types.js';
import { manualClock } from '#test/manual-clock.js';
import { freshAddress } from '#test/postgres.js';
import { seededRng, seedOfRun } from '#test/rng.js';
import { onEachEngine, storeFails, temporaryStore } from '#test/tmp-store.js';

const number = (text: string) => parseIpv4(text) as number;

async function store(t: Test): Promise<Store> {
  const made = await temporaryStore(t);
  await made.createBucket('ips', {
    index: {
      ip: { type: 'ip', unique: true },
      owner: { type: 'ip' },
      name: { type: 'string' },
    },
  });
  return made;
}

onEachEngine('the lowest gap, cut at its ends and at 50', async (t) => {
  const s = await store(t);
  const from = number('10.0.0.9');
  const to = number('10.0.1.0');
  const gap = async (): Promise<string> => {
    const found = await s.findGap('ips', 'ip', from, to);
    if (found === null) return 'none';
    return `${formatIpv4(ipv4(found.start))}+${found.length}`;
  };
  const put = (last: number) =>
    s.putObject('ips', `k${last}`, { ip: `10.0.0.${last}` });
  t.equal(await gap(), '10.0.0.10+50');
  for (const last of [5, 9, 10, 11, 14]) await put(last);
  t.equal(await gap(), '10.0.0.12+2');
  for (const last of [12, 13]) await put(last);
  t.equal(await gap(), '10.0.0.15+50');
  await s.delObject('ips', 'k11');
  t.equal(await gap(), '10.0.0.11+1', 'a removed record is free again');
  await put(11);
  for (let last = 15; last < 250; last += 1) await put(last);
  t.equal(await gap(), '10.0.0.250+6');
  for (let last = 250; last < 256; last += 1) await put(last);
  t.equal(await gap(), 'none');
  t.equal(await s.findGap('ips', 'ip', to, to + 1), null, 'nothing between');
  await s.putObject('ips', 'k20', { ip: '10.9.0.1' });
  t.equal(await gap(), '10.0.0.20+1', 'a record that changed its address');
});

onEachEngine(
  'addresses shared by objects, and none at all, are no trouble',
  async (t) => {
    const s = await store(t);
    for (const key of ['a', 'b', 'c']) {
      await s.putObject('ips', key, key === 'c' ? {} : { owner: '10.0.0.1' });
    }
    const from = number('10.0.0.0');
    const found = await s.findGap('ips', 'owner', from, from + 5);
    t.deepEqual(found, { start: from + 2, length: 3 });
    const top = number('255.255.255.250');
    const last = await s.findGap('ips', 'ip', top, 2 ** 32);
    t.deepEqual(last, { start: top + 1, length: 5 });
    await storeFails(
      t,
      s.findGap('ips', 'name', 0, 9),
      'NotIndexedError',
      'not an ip index',
    );
  },
);

onEachEngine('a search again and again sees each change', async (t) => {
  const s = await store(t);
  const from = number('10.0.0.0');
  const wrong: string[] = [];
  const taken = new Set<number>();
  const rng = seededRng(seedOfRun());
  t.comment(`SEED=${rng.seed}`);
  for (let i = 0; i < 400; i += 1) {
    const last = rng.between(1, 40);
    if (rng.chance(0.7)) {
      await s.putObject('ips', `k${last}`, { ip: `10.0.0.${last}` });
      taken.add(last);
    } else if (taken.delete(last)) {
      if (rng.chance(0.5)) await s.delObject('ips', `k${last}`);
      else await s.putObject('ips', `k${last}`, { ip: `10.9.0.${last}` });
    }
    const free = Array.from({ length: 40 }, (_, n) => n + 1);
    const expected = free.find((n) => !taken.has(n));
    const found = await s.findGap('ips', 'ip', from, from + 41);
    if (found?.start !== (expected === undefined ? undefined : from + expected))
      wrong.push(`${i}: ${found?.start} is not ${expected}`);
  }
  t.deepEqual(wrong, []);
});

test('postgres: what another process removed is found again', async (t) => {
  const address = await freshAddress();
  const open = async () => {
    const opened = await openPostgresStore(address, { clock: manualClock() });
    t.teardown(() => opened.close());
    return opened;
  };
  const [one, two] = [await open(), await open()];
  await one.createBucket('ips', { index: { ip: { type: 'ip' } } });
  for (let last = 1; last < 9; last += 1) {
    await one.putObject('ips', `k${last}`, { ip: `10.0.0.${last}` });
  }
  const from = number('10.0.0.0');
  const gap = async (s: Store) =>
    (await s.findGap('ips', 'ip', from, from + 9))?.start;
  t.equal(await gap(two), undefined, 'all is taken');
  await one.delObject('ips', 'k3');
  t.equal(await gap(two), from + 3);
});
