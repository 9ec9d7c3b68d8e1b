// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a napi-nat whose new version has another index starts on
 * the objects of the old one and does not find them, or loses them.
 */

import type { Test } from 'tape';
import type { BucketConfig, Store } from '#lib/store/types.js';
import { onEachEngine, reopenable, storeFails } from '#test/tmp-store.js';
import { AIP_BUCKET } from '../../../services/napi-nat/aip/record.js';
import { buckets, prepareBuckets } from '../../../services/napi-nat/buckets.js';

/** More than are indexed in one go. */
const COUNT = 1203;
const LATEST = buckets[AIP_BUCKET] as BucketConfig;

/** The bucket as a version before had it: without two of its indexes. */
function before(): BucketConfig {
  const { owner_uuid: _owner, ip: _ip, ...index } = LATEST.index;
  return { index, options: { version: 0.5 } };
}

const owner = (n: number) =>
  `44444444-0000-4000-8000-${String(n % 3).padStart(12, '0')}`;

/** A store with AIPs that an older napi-nat wrote. */
async function old(t: Test) {
  const open = await reopenable(t);
  const store = await open();
  await store.createBucket(AIP_BUCKET, before());
  await store.batch(
    Array.from({ length: COUNT }, (_, n) => ({
      bucket: AIP_BUCKET,
      key: `aip-${n}`,
      value: {
        uuid: `aip-${n}`,
        owner_uuid: owner(n),
        ip: `100.64.${n >> 8}.${n & 255}`,
        created: n,
        v: 1,
      },
    })),
  );
  return { store, open };
}

async function served(t: Test, store: Store): Promise<void> {
  const { index, reindex_active } = await store.getBucket(AIP_BUCKET);
  t.deepEqual(index, LATEST.index);
  t.deepEqual(reindex_active, []);
  const all = { requireIndexes: true, noLimit: true };
  const found = await store.findObjects(
    AIP_BUCKET,
    `(owner_uuid=${owner(1)})`,
    all,
  );
  t.equal(found.count, COUNT / 3, 'all of an owner');
  const one = await store.findObjects(AIP_BUCKET, '(ip=100.64.4.178)', all);
  t.deepEqual(
    one.objects.map(({ key }) => key),
    ['aip-1202'],
    'the last one',
  );
  await storeFails(
    t,
    store.putObject(AIP_BUCKET, 'other', { ip: '100.64.0.7' }),
    'UniqueAttributeError',
    'unique among the old ones',
  );
}

onEachEngine('new indexes are built before anything is served', async (t) => {
  const { store } = await old(t);
  t.teardown(() => store.close());
  const first = await store.getObject(AIP_BUCKET, 'aip-0');
  await prepareBuckets(store);
  await served(t, store);
  t.deepEqual(await store.getObject(AIP_BUCKET, 'aip-0'), first, 'as it was');
  const { mtime } = await store.getBucket(AIP_BUCKET);
  await prepareBuckets(store);
  t.equal((await store.getBucket(AIP_BUCKET)).mtime, mtime, 'once only');
});

onEachEngine('a start that was interrupted goes on where it was', async (t) => {
  const { store, open } = await old(t);
  await store.putBucket(AIP_BUCKET, LATEST);
  await store.reindexObjects(AIP_BUCKET, 100);
  await store.close();
  const again = await open();
  t.teardown(() => again.close());
  await storeFails(
    t,
    again.findObjects(AIP_BUCKET, `(owner_uuid=${owner(1)})`),
    'NotIndexedError',
    'not found by half an index',
  );
  await prepareBuckets(again);
  await served(t, again);
});

onEachEngine('two that start together build them once', async (t) => {
  const { store, open } = await old(t);
  t.teardown(() => store.close());
  const other = store.shared ? await open() : store;
  t.teardown(() => other.close());
  await Promise.all([prepareBuckets(store), prepareBuckets(other)]);
  await served(t, store);
  await served(t, other);
});
