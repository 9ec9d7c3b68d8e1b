// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Shootdowns as rows of `portolan_cn_net_events`: each node of a vnet has its
 * own copy, which it removes itself after it has acted on it (facts:
 * svp-portolan-vxlnat 1.8, 2.2).
 */

import { formatMapped } from '#lib/net/ipv4.js';
import { eq } from '#lib/store/filter-text.js';
import {
  type BatchRequest,
  isStoreError,
  type Store,
} from '#lib/store/types.js';
import type { Mapping } from './mapping.js';
import {
  EVENT_BUCKET,
  type EventRecord,
  type EventRow,
  VNET_CN_BUCKET,
  VNET_JOIN_BUCKET,
  type VnetCnRow,
  type VnetJoinRow,
} from './records.js';

/** The nodes that may have something of a vnet cached, in a fixed order. */
async function audience(store: Store, vnet: number): Promise<string[]> {
  const found = await store.findObjects<VnetCnRow>(
    VNET_CN_BUCKET,
    eq('vnet_id', vnet),
    { noLimit: true },
  );
  return found.objects.map((object) => object.value.cn_uuid).sort();
}

/** Notes that a vnet's audience grew; never refused. */
export function joined(vnet: number, who: string): BatchRequest {
  const value: VnetJoinRow = { vnet_id: vnet, last: who };
  return { bucket: VNET_JOIN_BUCKET, key: String(vnet), value };
}

/**
 * The audience with a request that is refused if it grew meanwhile. The same
 * content has the same etag, so moves do not get in each other's way.
 */
export async function guardedAudience(
  store: Store,
  vnet: number,
): Promise<{ nodes: string[]; guard: BatchRequest[] }> {
  // Before the nodes: who joins between the two reads must be noticed.
  const guard = await readGuard(store, vnet);
  return { nodes: await audience(store, vnet), guard };
}

async function readGuard(store: Store, vnet: number): Promise<BatchRequest[]> {
  const [bucket, key] = [VNET_JOIN_BUCKET, String(vnet)];
  try {
    const { value, _etag } = await store.getObject<VnetJoinRow>(bucket, key);
    return [{ bucket, key, value, options: { etag: _etag } }];
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return [];
    throw error;
  }
}

function eachNode(
  nodes: readonly string[],
  record: EventRecord,
  uuid: () => string,
): BatchRequest[] {
  return nodes.map((cn): BatchRequest => {
    const value: EventRow = {
      cn_uuid: cn,
      vnet_id: record.vnet_id,
      version: 1,
      record,
    };
    return {
      bucket: EVENT_BUCKET,
      key: uuid(),
      value,
      options: { etag: null },
    };
  });
}

/** "Forget where this MAC is", for each node. */
export function vl2Shootdowns(
  nodes: readonly string[],
  mapping: Mapping,
  uuid: () => string,
): BatchRequest[] {
  const record: EventRecord = {
    type: 'SVP_LOG_VL2',
    mac: mapping.mac,
    vnet_id: mapping.vnet,
  };
  return eachNode(nodes, record, uuid);
}

/** "Ask again who has this IP", for each node. */
export function vl3Shootdowns(
  nodes: readonly string[],
  mapping: Mapping,
  vlan: number,
  uuid: () => string,
): BatchRequest[] {
  const record: EventRecord = {
    type: 'SVP_LOG_VL3',
    ip: formatMapped(mapping.ip),
    mac: mapping.mac,
    vlan,
    vnet_id: mapping.vnet,
  };
  return eachNode(nodes, record, uuid);
}
