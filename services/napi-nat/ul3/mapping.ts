// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One overlay mapping as batch requests and as a `ul3_mapping` event: what a
 * put and a tombstone of `portolan_vnet_mac_ip` are made of.
 */

import {
  formatIpv4,
  formatMapped,
  type Ipv4,
  parseMapped,
} from '#lib/net/ipv4.js';
import { formatMac, type Mac } from '#lib/net/mac.js';
import {
  type BatchRequest,
  isStoreError,
  type JournalEvent,
  type Store,
} from '#lib/store/types.js';
import {
  OVERLAY_BUCKET,
  type OverlayRow,
  overlayKey,
  UNDERLAY_BUCKET,
  type UnderlayRow,
  VNET_CN_BUCKET,
  vnetCnKey,
} from './records.js';

/** An overlay row as typed values. */
export interface Mapping {
  vnet: number;
  ip: Ipv4;
  mac: Mac;
  cn: string;
}

/** Where a node's VXLAN endpoint is. */
export interface Endpoint {
  ip: Ipv4;
  port: number;
}

/** The JSON of a mapping: events and `GET /ul3_mappings`. */
export interface MappingDto {
  vnet_id: number;
  ip: string;
  mac: string;
  cn_uuid: string;
  ul3_ip: string;
  ul3_port: number;
}

function overlayRow(mapping: Mapping, deleted: boolean): OverlayRow {
  return {
    mac: mapping.mac,
    ip: formatMapped(mapping.ip),
    cn_uuid: mapping.cn,
    vnet_id: mapping.vnet,
    version: 1,
    deleted,
  };
}

/** The requests that make a mapping and its node's membership of the vnet. */
export function putMapping(mapping: Mapping): BatchRequest[] {
  return [
    {
      bucket: OVERLAY_BUCKET,
      key: overlayKey(mapping.ip, mapping.vnet),
      value: overlayRow(mapping, false),
    },
    {
      bucket: VNET_CN_BUCKET,
      key: vnetCnKey(mapping.vnet, mapping.cn),
      value: { vnet_id: mapping.vnet, cn_uuid: mapping.cn },
    },
  ];
}

/** The request that removes a mapping: the same row, marked deleted. */
export function tombstone(mapping: Mapping): BatchRequest {
  return {
    bucket: OVERLAY_BUCKET,
    key: overlayKey(mapping.ip, mapping.vnet),
    value: overlayRow(mapping, true),
  };
}

/** Reads a stored row; null when it is a tombstone or not IPv4. */
export function mappingOf(row: OverlayRow): Mapping | null {
  const ip = parseMapped(row.ip);
  if (row.deleted || ip === null) return null;
  return { vnet: row.vnet_id, ip, mac: row.mac as Mac, cn: row.cn_uuid };
}

/** A mapping with its endpoint as clients see it. */
export function mappingDto(mapping: Mapping, at: Endpoint): MappingDto {
  return {
    vnet_id: mapping.vnet,
    ip: formatIpv4(mapping.ip),
    mac: formatMac(mapping.mac),
    cn_uuid: mapping.cn,
    ul3_ip: formatIpv4(at.ip),
    ul3_port: at.port,
  };
}

/**
 * The event of a mapping that is as SVP would answer it after the batch.
 * @param at null when SVP would answer "not found": removed, or its node has
 *   no endpoint
 */
export function mappingEvent(
  mapping: Pick<Mapping, 'vnet' | 'ip' | 'mac' | 'cn'>,
  at: Endpoint | null,
): JournalEvent {
  return {
    resource: 'ul3_mapping',
    subResources: [at === null ? 'delete' : 'put'],
    id: `${mapping.vnet},${formatIpv4(mapping.ip)}`,
    object: at === null ? null : mappingDto(mapping, at),
    extra: { cn_uuid: mapping.cn },
  };
}

/** A node's endpoint from committed state; null when it has none. */
export async function readUnderlay(
  store: Store,
  cn: string,
): Promise<Endpoint | null> {
  try {
    const found = await store.getObject<UnderlayRow>(UNDERLAY_BUCKET, cn);
    const ip = parseMapped(found.value.ip);
    return ip === null ? null : { ip, port: found.value.port };
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) return null;
    throw error;
  }
}
