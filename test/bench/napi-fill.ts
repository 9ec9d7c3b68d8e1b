// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A store with many AIPs, written in bulk as the service would have left it:
 * the store's own way of copying, not a million requests. PostgreSQL's indexes
 * are made again afterwards, which is many times quicker than keeping them.
 */

import { randomUUID } from 'node:crypto';
import { systemClock } from '#lib/clock.js';
import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { etagOf } from '#lib/store/etag.js';
import { openLink } from '#lib/store/postgres/connection.js';
import type { Store, StoredObject } from '#lib/store/types.js';
import { PUBLIC_NETWORK } from '#test/napi-config.js';
import {
  AIP_BUCKET,
  type AipRecord,
} from '../../services/napi-nat/aip/record.js';
import type { StoreConfig } from '../../services/napi-nat/config.js';
import { type IpRecord, ipBucket } from '../../services/napi-nat/ip/record.js';
import {
  PUBLIC_BUCKET,
  type PublicRecord,
} from '../../services/napi-nat/public/record.js';
import { openStore } from '../../services/napi-nat/store/open.js';

/** AIPs of one owner. */
const PER_OWNER = 100;
/** AIPs written together. */
const PAGE = 1000;
/** 100.64.0.0/10 has room for every size. */
const BASE = (100 << 24) + (64 << 16);

/** The owner of the nth AIP. */
export function ownerOf(n: number): string {
  const digits = Math.floor(n / PER_OWNER)
    .toString(16)
    .padStart(12, '0');
  return `44444444-0000-4000-8000-${digits}`;
}

function aipOf(n: number, now: number): AipRecord {
  return {
    uuid: randomUUID(),
    owner_uuid: ownerOf(n),
    ip: formatIpv4(ipv4(BASE + 1 + n)),
    network_uuid: PUBLIC_NETWORK,
    created: now,
    modified: now,
    v: 1,
  };
}

function publicOf({ uuid, ip }: AipRecord): PublicRecord {
  return {
    ip,
    kind: 'aip',
    network_uuid: PUBLIC_NETWORK,
    allocation_uuid: uuid,
    aip_uuid: uuid,
    fabric_owners: [],
    fabrics_by_owner: {},
    fabrics: 0,
    addresses: 0,
    v: 1,
  };
}

function addressOf({ uuid, ip, owner_uuid }: AipRecord): IpRecord {
  return {
    ipaddr: ip,
    reserved: false,
    belongs_to_type: 'other',
    belongs_to_uuid: uuid,
    owner_uuid,
    v: 2,
  };
}

function stored(
  bucket: string,
  key: string,
  value: object,
  id: number,
  now: number,
): StoredObject {
  const _etag = etagOf(JSON.stringify(value));
  const copy = value as Record<string, unknown>;
  return { bucket, key, value: copy, _id: id, _etag, _mtime: now };
}

/**
 * Writes AIPs from the nth on until `ids` has `size` of them.
 * @param at a store whose buckets the service has made; nobody has it open
 * @param ids all AIPs so far; it grows
 * @param next the first address of the pool that nobody has
 */
export async function fill(
  at: StoreConfig,
  ids: string[],
  size: number,
  next: number,
): Promise<void> {
  const store = await openStore(at, { clock: systemClock() });
  try {
    await unindexed(at, () => write(store, ids, size, next));
  } finally {
    await store.close();
  }
}

async function write(
  store: Store,
  ids: string[],
  size: number,
  next: number,
): Promise<void> {
  const now = Date.now();
  // Above any that the service has given between two sizes.
  const firstId = next * 4 + 1_000_000;
  let before: Promise<void> = Promise.resolve();
  for (let n = next; ids.length < size; ) {
    const objects: StoredObject[] = [];
    for (let i = 0; i < PAGE && ids.length < size; i++, n++) {
      const aip = aipOf(n, now + Math.floor(n / 10));
      ids.push(aip.uuid);
      const id = firstId + n - next;
      const bucket = ipBucket(PUBLIC_NETWORK);
      objects.push(
        stored(AIP_BUCKET, aip.uuid, aip, id, now),
        stored(PUBLIC_BUCKET, aip.ip, publicOf(aip), id, now),
        stored(bucket, aip.ip, addressOf(aip), id, now),
      );
    }
    const written = store.restore({ objects });
    await before;
    before = written;
    if (ids.length % 100_000 === 0) console.error(`napi: ${ids.length} AIPs`);
  }
  await before;
}

/** Does `work` while PostgreSQL keeps no index that it can do without. */
async function unindexed(
  at: StoreConfig,
  work: () => Promise<void>,
): Promise<void> {
  if (!('postgres' in at)) return work();
  const { url, schema } = at.postgres;
  const link = await openLink(url, 'SELECT 1');
  try {
    const { rows } = await link.query(
      `SELECT indexrelid::regclass::text AS name,
         pg_get_indexdef(indexrelid) AS made
       FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
       WHERE relnamespace = $1::regnamespace AND relname = ANY($2)
         AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)`,
      [schema, [AIP_BUCKET, PUBLIC_BUCKET, ipBucket(PUBLIC_NETWORK)]],
    );
    for (const { name } of rows) await link.query(`DROP INDEX ${name}`);
    await work();
    for (const { made } of rows) await link.query(String(made));
    // As autovacuum would have done by and by.
    await link.query('VACUUM ANALYZE');
  } finally {
    await link.end();
  }
}
