// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The records of portolan's buckets and their keys (facts:
 * svp-portolan-vxlnat 2.2). Real NAPI and portolan read and write the same
 * shapes; `portolan_vnet_cns` alone is ours.
 */

import { formatMapped, type Ipv4 } from '#lib/net/ipv4.js';
import type { BucketConfig } from '#lib/store/types.js';

export const OVERLAY_BUCKET = 'portolan_vnet_mac_ip';
export const UNDERLAY_BUCKET = 'portolan_underlay_mappings';
export const EVENT_BUCKET = 'portolan_cn_net_events';
/**
 * Which nodes have ever had a row in a vnet: whom a shootdown is for. Kept
 * apart so that a change costs the nodes of a vnet and not its rows. A row
 * here is never removed: telling a node that has left is harmless (it
 * acknowledges), forgetting one that is there is not.
 */
export const VNET_CN_BUCKET = 'portolan_vnet_cns';
/**
 * Who joined each vnet last: changes whenever its audience grows, so that a
 * router move can insist on having read all of it.
 */
export const VNET_JOIN_BUCKET = 'portolan_vnet_joins';

/** UDP port of VXLAN (RFC 7348 section 5). */
export const VXLAN_PORT = 4789;

/** Key `<v6 text>,<vnet id>`; a removed row stays with `deleted: true`. */
export interface OverlayRow {
  mac: number;
  /** v4-mapped text, exactly as `formatMapped` writes it. */
  ip: string;
  cn_uuid: string;
  vnet_id: number;
  version: number;
  deleted: boolean;
}

/** Key: the node's, or the NAT zone's, UUID. */
export interface UnderlayRow {
  cn_uuid: string;
  ip: string;
  port: number;
}

export type EventRecord =
  | { type: 'SVP_LOG_VL2'; mac: number; vnet_id: number }
  | {
      type: 'SVP_LOG_VL3';
      ip: string;
      mac: number;
      vlan: number;
      vnet_id: number;
    };

/** Key: a random UUID, which is the log record's id on the wire. */
export interface EventRow {
  cn_uuid: string;
  vnet_id: number;
  version: number;
  record: EventRecord;
}

/** Key `<vnet id>,<cn uuid>`. */
export interface VnetCnRow {
  vnet_id: number;
  cn_uuid: string;
}

/** Key `<vnet id>`. */
export interface VnetJoinRow {
  vnet_id: number;
  /** A node's UUID, or the router that came first. */
  last: string;
}

/** The buckets with their indexes, for start-up. */
export const ul3Buckets: Record<string, BucketConfig> = {
  [OVERLAY_BUCKET]: {
    index: {
      mac: { type: 'number' },
      ip: { type: 'string' },
      cn_uuid: { type: 'string' },
      vnet_id: { type: 'number' },
      version: { type: 'number' },
      deleted: { type: 'boolean' },
    },
    options: { version: 0 },
  },
  [UNDERLAY_BUCKET]: {
    index: {
      cn_uuid: { type: 'string' },
      ip: { type: 'string' },
      port: { type: 'number' },
    },
    options: { version: 0 },
  },
  [EVENT_BUCKET]: {
    index: { cn_uuid: { type: 'string' }, vnet_id: { type: 'number' } },
    options: { version: 0 },
  },
  [VNET_JOIN_BUCKET]: {
    index: { vnet_id: { type: 'number' } },
    options: { version: 0 },
  },
  [VNET_CN_BUCKET]: {
    index: { cn_uuid: { type: 'string' }, vnet_id: { type: 'number' } },
    options: { version: 0 },
  },
};

/** Key of an overlay row: a VL3 look-up is one get of it. */
export function overlayKey(ip: Ipv4, vnet: number): string {
  return `${formatMapped(ip)},${vnet}`;
}

/** Key of a node's membership of a vnet. */
export function vnetCnKey(vnet: number, cn: string): string {
  return `${vnet},${cn}`;
}
