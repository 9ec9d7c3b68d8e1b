// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A failover of many fabrics is not one batch, leaves a row behind, or is
 * decided on what was true before somebody else's write.
 */

import { randomUUID } from 'node:crypto';
import test from 'tape';
import type { JournalEntry, Store } from '#lib/store/types.js';
import { readDataplane } from '#test/dataplane.js';
import { natStore, putFabric, putZone } from '#test/nat-store.js';
import { commit, merge } from '../../../services/napi-nat/commit.js';
import { failZone } from '../../../services/napi-nat/failover.js';
import { releaseFabric } from '../../../services/napi-nat/nat-reform/hooks.js';
import { createSerial } from '../../../services/napi-nat/nat-reform/serial.js';
import {
  NETWORK_BUCKET,
  type NetworkRecord,
} from '../../../services/napi-nat/network/record.js';

/** Counts batches and collects what they published. */
function spy(store: Store): { batches: () => number; entries: JournalEntry[] } {
  const entries: JournalEntry[] = [];
  let batches = 0;
  store.journal.onCommit((some) => entries.push(...some));
  const batch = store.batch.bind(store);
  store.batch = (...args) => {
    batches += 1;
    return batch(...args);
  };
  return { batches: () => batches, entries };
}

test('a thousand fabrics move in one batch', async (t) => {
  const ctx = await natStore(t);
  const lost = await putZone(ctx, 6);
  const count = 1000;
  for (let n = 0; n < count; n++) await putFabric(ctx, n, randomUUID());
  const survivor = await putZone(ctx, 7);
  const seen = spy(ctx.store);
  const started = performance.now();
  const result = await failZone(ctx, lost);
  t.comment(`took ${Math.round(performance.now() - started)} ms`);
  t.deepEqual(result, {
    moved: true,
    heir: survivor,
    publics: count,
    fabrics: count,
    aips: 0,
  });
  t.equal(seen.batches(), 1);
  const kinds = new Map<string, number>();
  for (const { resource } of seen.entries) {
    kinds.set(resource, (kinds.get(resource) ?? 0) + 1);
  }
  t.deepEqual(Object.fromEntries(kinds), {
    nat_public: count,
    ul3_mapping: count,
    nat_zone: 1,
  });
  const plane = await readDataplane(ctx);
  t.ok(plane.publics.every((each) => each.zone_uuid === survivor));
  t.equal(plane.fabrics.length, count, 'the rules stay');
  const rows = await ctx.store.findObjects(
    'portolan_vnet_mac_ip',
    `(cn_uuid=${lost})`,
  );
  t.equal(rows.count, 0, 'no router row is left on the lost zone');
  t.equal((await failZone(ctx, lost)).moved, false, 'a second time is nothing');
});

test('fabrics created while a zone fails end on the survivor', async (t) => {
  const ctx = await natStore(t);
  const lost = await putZone(ctx, 6);
  const owner = randomUUID();
  await putFabric(ctx, 1, owner);
  const survivor = await putZone(ctx, 7);
  const other = { ...ctx, placing: createSerial() };
  const made = Array.from({ length: 30 }, (_, n) =>
    putFabric(n % 2 ? ctx : other, n + 2, owner),
  );
  const [fabrics] = await Promise.all([Promise.all(made), failZone(ctx, lost)]);
  t.equal(fabrics.length, 30);
  const plane = await readDataplane(ctx);
  t.deepEqual(
    [...new Set(plane.publics.map((each) => each.zone_uuid))],
    [survivor],
  );
  const rows = await ctx.store.findObjects<{ cn_uuid: string }>(
    'portolan_vnet_mac_ip',
    '(deleted=false)',
  );
  t.equal(rows.count, 31);
  t.ok(rows.objects.every(({ value }) => value.cn_uuid === survivor));
});

test('a fabric that goes gives everything back', async (t) => {
  const ctx = await natStore(t);
  await putZone(ctx, 6);
  const owner = randomUUID();
  const one = await putFabric(ctx, 1, owner);
  const two = await putFabric(ctx, 2, owner);
  t.equal(one.nat_reform_public, two.nat_reform_public, 'one per owner');
  const drop = (record: NetworkRecord) =>
    commit(ctx, async () => {
      const changes = await releaseFabric(ctx, record);
      const row = {
        operation: 'delete' as const,
        bucket: NETWORK_BUCKET,
        key: record.uuid,
      };
      const own = { requests: [row], events: [] };
      return { changes: merge(changes, own), result: null };
    });
  await drop(one);
  t.equal((await readDataplane(ctx)).publics.length, 1, 'still in use');
  await drop(two);
  t.equal((await readDataplane(ctx)).publics.length, 0);
  const third = await putFabric(ctx, 3, randomUUID());
  t.equal(third.nat_reform_public, '3.0.0.3', 'never-used addresses first');
  const ledger = await ctx.store.getObject<{ load: Record<string, object> }>(
    'nat_placement',
    'current',
  );
  t.deepEqual(Object.values(ledger.value.load), [
    { fabrics: 1, addresses: 256 },
  ]);
});
