// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Look-ups of portolan's rows for SVP and for `GET /ul3_mappings`. Always from
 * committed state: a cache that is older than the batch that changed a row
 * would undo the shootdown of that batch (facts: svp-portolan-vxlnat 2.3).
 */

import { formatMapped, type Ipv4 } from '#lib/net/ipv4.js';
import type { Mac } from '#lib/net/mac.js';
import { and, eq } from '#lib/store/filter-text.js';
import { isStoreError, type Store } from '#lib/store/types.js';
import type { Vl2Answer, Vl3Answer } from '#lib/svp/messages.js';
import {
  type Endpoint,
  type Mapping,
  type MappingDto,
  mappingDto,
  mappingOf,
  readUnderlay,
} from './mapping.js';
import {
  OVERLAY_BUCKET,
  type OverlayRow,
  overlayKey,
  UNDERLAY_BUCKET,
  type UnderlayRow,
} from './records.js';

async function readMapping(
  store: Store,
  vnet: number,
  ip: Ipv4,
): Promise<Mapping | null> {
  try {
    const key = overlayKey(ip, vnet);
    const found = await store.getObject<OverlayRow>(OVERLAY_BUCKET, key);
    return mappingOf(found.value);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}

/** Who has an IP, and where: one get of the overlay row, one of its node's. */
export async function lookUpVl3(
  store: Store,
  vnet: number,
  ip: Ipv4,
): Promise<Vl3Answer> {
  const mapping = await readMapping(store, vnet, ip);
  if (mapping === null) return null;
  const at = await readUnderlay(store, mapping.cn);
  return at === null ? null : { ...at, mac: mapping.mac };
}

/**
 * Where a MAC is. Several rows can have it (a NIC with more addresses, a
 * router with more networks); all agree on the node, the newest wins.
 */
export async function lookUpVl2(
  store: Store,
  vnet: number,
  mac: Mac,
): Promise<Vl2Answer> {
  const found = await store.findObjects<OverlayRow>(
    OVERLAY_BUCKET,
    and(eq('mac', mac), eq('vnet_id', vnet), eq('deleted', false)),
    { sort: { attribute: '_mtime', order: 'DESC' }, limit: 1 },
  );
  const row = found.objects[0]?.value;
  return row === undefined ? null : readUnderlay(store, row.cn_uuid);
}

/** The nodes that have an underlay address; more than one is tolerated. */
export async function nodesAt(store: Store, ip: Ipv4): Promise<string[]> {
  const found = await store.findObjects<UnderlayRow>(
    UNDERLAY_BUCKET,
    eq('ip', formatMapped(ip)),
    { noLimit: true },
  );
  return found.objects.map((object) => object.value.cn_uuid);
}

/** What `listMappings` selects; all that are given must match. */
export interface MappingFilter {
  vnet?: number;
  cn?: string;
  ip?: Ipv4;
  limit: number;
  offset: number;
}

/** The filter as the store's text. */
function mappingTerms(filter: MappingFilter): string {
  const terms = [eq('deleted', false)];
  if (filter.vnet !== undefined) terms.push(eq('vnet_id', filter.vnet));
  if (filter.cn !== undefined) terms.push(eq('cn_uuid', filter.cn));
  if (filter.ip !== undefined) terms.push(eq('ip', formatMapped(filter.ip)));
  return and(...terms);
}

/**
 * Mappings with their endpoints; those without one are left out. A page that
 * is shorter than the limit is the last; going on at the number of mappings
 * that were received may repeat some, and misses none.
 */
export async function listMappings(
  store: Store,
  filter: MappingFilter,
): Promise<MappingDto[]> {
  const terms = mappingTerms(filter);
  const endpoints = new Map<string, Endpoint | null>();
  const rows: MappingDto[] = [];
  const sort = { attribute: '_id' };
  for (let { offset } = filter; ; ) {
    const limit = filter.limit - rows.length;
    const options = { sort, limit, offset };
    const found = await store.findObjects<OverlayRow>(
      OVERLAY_BUCKET,
      terms,
      options,
    );
    for (const { value } of found.objects) {
      const mapping = mappingOf(value);
      if (mapping === null) continue;
      let at = endpoints.get(mapping.cn);
      if (at === undefined) {
        at = await readUnderlay(store, mapping.cn);
        endpoints.set(mapping.cn, at);
      }
      if (at !== null) rows.push(mappingDto(mapping, at));
    }
    offset += found.objects.length;
    if (found.objects.length < limit || rows.length >= filter.limit) break;
  }
  return rows;
}
