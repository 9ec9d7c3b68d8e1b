// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The shootdown log of a node: what LOG_REQ reads and LOG_RM removes (facts:
 * svp-portolan-vxlnat 1.8). Delivery is at least once: a record stays until
 * the node itself has removed it.
 */

import { type Ipv4, parseMapped } from '#lib/net/ipv4.js';
import type { Mac } from '#lib/net/mac.js';
import { eq, or } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type Store,
  type StoredObject,
} from '#lib/store/types.js';
import {
  LOG_ACK_HEAD_BYTES,
  LOG_RECORD_BYTES,
  type LogRecord,
} from '#lib/svp/messages.js';
import { nodesAt } from './lookup.js';
import { EVENT_BUCKET, type EventRow } from './records.js';

/** Null for a record that SVP version 1 has no words for. */
function toRecord(object: StoredObject<EventRow>): LogRecord | null {
  const { record } = object.value;
  const id = object.key;
  if (record.type === 'SVP_LOG_VL2') {
    return { type: 'vl2', id, mac: record.mac as Mac, vnet: record.vnet_id };
  }
  if (record.type !== 'SVP_LOG_VL3') return null;
  const ip = parseMapped(record.ip);
  if (ip === null) return null;
  return { type: 'vl3', id, ip, vlan: record.vlan, vnet: record.vnet_id };
}

/**
 * The oldest records of the node with this underlay address that fit. Those
 * that no node of version 1 can be told, such as routes of another portolan's
 * store, stay where they are and hide none behind them (G5).
 * @param maxBytes of the answer's body, its status word included (G3)
 * @returns null when no node has the address
 */
export async function readLog(
  store: Store,
  underlay: Ipv4,
  maxBytes: number,
): Promise<LogRecord[] | null> {
  const nodes = await nodesAt(store, underlay);
  if (nodes.length === 0) return null;
  const room = maxBytes - LOG_ACK_HEAD_BYTES;
  const limit = Math.floor(room / LOG_RECORD_BYTES.vl2);
  if (limit < 1) return [];
  const filter = or(...nodes.map((cn) => eq('cn_uuid', cn)));
  // Rows are never rewritten: the order of ids is that of _mtime.
  const sort = { attribute: '_id' };
  const records: LogRecord[] = [];
  let bytes = 0;
  for (let offset = 0; ; offset += limit) {
    const page = { sort, limit, offset };
    const found = await store.findObjects<EventRow>(EVENT_BUCKET, filter, page);
    for (const object of found.objects) {
      const record = toRecord(object);
      if (record === null) continue;
      bytes += LOG_RECORD_BYTES[record.type];
      if (bytes > room) return records;
      records.push(record);
    }
    const known = records.length === found.objects.length;
    if (known || found.objects.length < limit) return records;
  }
}

async function removeOne(store: Store, id: string): Promise<void> {
  try {
    await store.delObject(EVENT_BUCKET, id);
  } catch (error) {
    if (!isStoreError(error, 'ObjectNotFoundError')) throw error;
  }
}

/**
 * Removes records that a node has acted on: in one write when all are there,
 * which is nearly always, else one by one. One that is gone is no error.
 */
export async function removeLog(store: Store, ids: string[]): Promise<void> {
  const once = [...new Set(ids)];
  if (once.length === 0) return;
  const requests = once.map(
    (key): BatchRequest => ({ operation: 'delete', bucket: EVENT_BUCKET, key }),
  );
  try {
    await store.batch(requests);
  } catch (error) {
    if (!isStoreError(error, 'ObjectNotFoundError')) throw error;
    for (const id of once) await removeOne(store, id);
  }
}
