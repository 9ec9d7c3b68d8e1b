// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: who writes portolan's rows, and when.
 *
 * A fabric address is found in two steps: the overlay row {vnet, IP} names a
 * MAC and a node, the underlay row of that node names its UL3. SVP answers
 * from these rows; compute nodes cache the answers without any time limit, so
 * each change must also leave a shootdown for every node of the vnet
 * (facts: svp-portolan-vxlnat 2.4, triton-napi 5.7).
 *
 * Interface: functions that return `Changes`, the batch requests and journal
 * events that a caller merges into its own batch. Nothing here writes, so a
 * NIC, its row, its shootdowns and its events are committed together or not
 * at all. They read committed state: call them afresh in each attempt.
 *
 * Invariants:
 *  - One row for {IP, vnet}. Removal is a tombstone, never a delete: real
 *    portolan readers rely on it.
 *  - VL3 shootdown: an IP is new or has another MAC. VL2: a MAC is elsewhere
 *    or gone. A router that moves keeps its MAC, so it needs VL2 alone.
 *  - A node joins the vnet's audience in the same batch as its first row.
 *  - A `ul3_mapping` event carries the UL3 as it is after the batch, or null
 *    when SVP would answer "not found".
 *
 * A node that joins a vnet while something there moves or goes must not be
 * forgotten: it may have asked for the old place already. So such a batch is
 * refused, and built again, when the audience that it read has grown
 * (`guardedAudience`). A mapping that is new needs no such care.
 */

import { formatMapped, type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac } from '#lib/net/mac.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { BatchRequest, JournalEvent, Store } from '#lib/store/types.js';
import type { Changes } from '../commit.js';
import {
  type Endpoint,
  type Mapping,
  mappingEvent,
  mappingOf,
  putMapping,
  readUnderlay,
  tombstone,
} from './mapping.js';
import {
  OVERLAY_BUCKET,
  type OverlayRow,
  UNDERLAY_BUCKET,
  VXLAN_PORT,
} from './records.js';
import {
  guardedAudience,
  joined,
  vl2Shootdowns,
  vl3Shootdowns,
} from './shootdown.js';

/** What of a NIC matters here; `NicRecord` has it. */
export interface Ul3Nic {
  mac: number;
  /** Dotted quad; absent when the NIC has no address. */
  ipaddr?: string | undefined;
  belongs_to_type: string;
  belongs_to_uuid: string;
  cn_uuid?: string | undefined;
  underlay?: boolean | undefined;
}

/** What of a network matters here; `NetworkRecord` has it. */
export interface Ul3Network {
  fabric?: boolean | undefined;
  vnet_id?: number | undefined;
  vlan_id: number;
}

/** What of `NapiContext` is used here. */
export interface Ul3Context {
  store: Store;
  uuid: () => string;
}

/** A fabric network's default router and the zone that it is to be in. */
export interface RouterMove {
  network: {
    vnet_id?: number | undefined;
    vlan_id: number;
    /** Dotted quad: the router's VL3. */
    gateway?: string | undefined;
  };
  /** Colon text: the router's VL2, which no move changes. */
  router_mac: string;
  /** Null: the fabric has no router any more. */
  zone_uuid: string | null;
  /** Null: it had none before. */
  previous_zone_uuid: string | null;
}

/** Most mappings that one changed endpoint may carry with it. */
export const MAX_MOVED_MAPPINGS = 10_000;

/** What SVP has of a NIC; null for one that it does not know about. */
export function nicMapping(
  nic: Ul3Nic | null,
  network: Ul3Network,
): Mapping | null {
  if (nic === null || nic.belongs_to_type !== 'zone') return null;
  const ip = nic.ipaddr === undefined ? null : parseIpv4(nic.ipaddr);
  if (network.fabric !== true || network.vnet_id === undefined) return null;
  if (ip === null || nic.cn_uuid === undefined) return null;
  return { vnet: network.vnet_id, ip, mac: nic.mac as Mac, cn: nic.cn_uuid };
}

/**
 * The rows, shootdowns and events of a fabric NIC that comes, goes or changes.
 * @param change before and after are null when the NIC is not there;
 *   `before_network` is given when the NIC leaves another network
 * @returns nothing for a NIC that SVP does not know about: not a zone's, not
 *   on a fabric, without address or without cn_uuid
 */
export async function overlayChanges(
  ctx: Ul3Context,
  change: {
    before: Ul3Nic | null;
    after: Ul3Nic | null;
    network: Ul3Network;
    before_network?: Ul3Network | undefined;
  },
): Promise<Changes> {
  const oldNetwork = change.before_network ?? change.network;
  const before = nicMapping(change.before, oldNetwork);
  const after = nicMapping(change.after, change.network);
  const same =
    before !== null &&
    after !== null &&
    before.vnet === after.vnet &&
    before.ip === after.ip &&
    before.mac === after.mac;
  const changes: Changes = { requests: [], events: [] };
  if (before !== null && !same) {
    const gone = await removed(ctx, before, oldNetwork.vlan_id, after !== null);
    changes.requests.push(...gone.requests);
    changes.events.push(...gone.events);
  }
  if (after !== null && !(same && before?.cn === after.cn)) {
    const there = await put(ctx, after, change.network.vlan_id, same);
    changes.requests.push(...there.requests);
    changes.events.push(...there.events);
  }
  return changes;
}

/** A mapping that goes: the MAC with it, unless the NIC only moved. */
async function removed(
  ctx: Ul3Context,
  mapping: Mapping,
  vlan: number,
  nicStays: boolean,
): Promise<Changes> {
  const { nodes, guard } = await guardedAudience(ctx.store, mapping.vnet);
  const shootdowns = nicStays
    ? vl3Shootdowns(nodes, mapping, vlan, ctx.uuid)
    : vl2Shootdowns(nodes, mapping, ctx.uuid);
  return {
    requests: [...guard, tombstone(mapping), ...shootdowns],
    events: [mappingEvent(mapping, null)],
  };
}

/** A mapping that is new, or whose node is another one. */
async function put(
  ctx: Ul3Context,
  mapping: Mapping,
  vlan: number,
  moved: boolean,
): Promise<Changes> {
  const [{ nodes, guard }, at] = await Promise.all([
    guardedAudience(ctx.store, mapping.vnet),
    readUnderlay(ctx.store, mapping.cn),
  ]);
  const requests: BatchRequest[] = [
    ...(moved ? guard : []),
    ...putMapping(mapping),
    ...vl3Shootdowns(nodes, mapping, vlan, ctx.uuid),
  ];
  if (moved) requests.push(...vl2Shootdowns(nodes, mapping, ctx.uuid));
  if (!nodes.includes(mapping.cn)) {
    requests.push(joined(mapping.vnet, mapping.cn));
  }
  return { requests, events: [mappingEvent(mapping, at)] };
}

/**
 * The row of a compute node's underlay NIC, and a shootdown and event for
 * every mapping that is found through it when the address changes.
 * @param change NICs that are not a server's underlay NICs count as absent
 */
export async function underlayChanges(
  ctx: Ul3Context,
  change: { before: Ul3Nic | null; after: Ul3Nic | null },
): Promise<Changes> {
  const before = underlayOf(change.before);
  const after = underlayOf(change.after);
  const merged: Changes = { requests: [], events: [] };
  if (before !== null && before.uuid !== after?.uuid) {
    const gone = await endpointChanges(ctx, before.uuid, null);
    merged.requests.push(...gone.requests);
    merged.events.push(...gone.events);
  }
  if (after !== null) {
    const there = await endpointChanges(ctx, after.uuid, after.at);
    merged.requests.push(...there.requests);
    merged.events.push(...there.events);
  }
  return merged;
}

/** Where a node's endpoint is by its underlay NIC; null for any other. */
export function underlayOf(
  nic: Ul3Nic | null,
): { uuid: string; at: Endpoint } | null {
  if (nic === null || nic.underlay !== true) return null;
  const ip = nic.ipaddr === undefined ? null : parseIpv4(nic.ipaddr);
  if (nic.belongs_to_type !== 'server' || ip === null) return null;
  return { uuid: nic.belongs_to_uuid, at: { ip, port: VXLAN_PORT } };
}

/**
 * The underlay row of a NAT zone, keyed by the zone's UUID (facts:
 * svp-portolan-vxlnat 2.4, consequence a).
 * @param zone `removed` or where its endpoint is: dotted quad and UDP port
 * @throws TypeError when `ip` is not an IPv4 address
 */
export async function zoneUnderlayChanges(
  ctx: Ul3Context,
  zone:
    | { uuid: string; ip: string; port: number }
    | { uuid: string; removed: true },
): Promise<Changes> {
  if ('removed' in zone) return endpointChanges(ctx, zone.uuid, null);
  const ip = parseIpv4(zone.ip);
  if (ip === null) throw new TypeError(`"${zone.ip}" is not an IPv4 address`);
  return endpointChanges(ctx, zone.uuid, { ip, port: zone.port });
}

/** Puts or removes an endpoint and tells of all mappings behind it. */
async function endpointChanges(
  ctx: Ul3Context,
  cn: string,
  at: Endpoint | null,
): Promise<Changes> {
  const current = await readUnderlay(ctx.store, cn);
  if (current?.ip === at?.ip && current?.port === at?.port) {
    return { requests: [], events: [] };
  }
  const row: BatchRequest =
    at === null
      ? { operation: 'delete', bucket: UNDERLAY_BUCKET, key: cn }
      : {
          bucket: UNDERLAY_BUCKET,
          key: cn,
          value: { cn_uuid: cn, ip: formatMapped(at.ip), port: at.port },
        };
  const mappings = await mappingsOf(ctx.store, cn);
  const requests: BatchRequest[] = [row];
  const events: JournalEvent[] = [];
  const told = new Set<string>();
  const audiences = new Map<number, string[]>();
  for (const mapping of mappings) {
    const { vnet, mac } = mapping;
    events.push(mappingEvent(mapping, at));
    if (!audiences.has(vnet)) {
      const { nodes, guard } = await guardedAudience(ctx.store, vnet);
      audiences.set(vnet, nodes);
      requests.push(...guard);
    }
    if (told.has(`${vnet},${mac}`)) continue;
    told.add(`${vnet},${mac}`);
    const nodes = audiences.get(vnet) ?? [];
    requests.push(...vl2Shootdowns(nodes, mapping, ctx.uuid));
  }
  return { requests, events };
}

async function mappingsOf(store: Store, cn: string): Promise<Mapping[]> {
  const found = await store.findObjects<OverlayRow>(
    OVERLAY_BUCKET,
    and(eq('cn_uuid', cn), eq('deleted', false)),
    { limit: MAX_MOVED_MAPPINGS + 1 },
  );
  if (found.objects.length > MAX_MOVED_MAPPINGS) {
    throw new Error(`${cn} has more than ${MAX_MOVED_MAPPINGS} mappings`);
  }
  return found.objects
    .map((object) => mappingOf(object.value))
    .filter((mapping) => mapping !== null);
}

/**
 * The default router of one fabric network, put into a zone, moved or taken
 * away: row, shootdowns to every node of the vnet, event.
 * @throws TypeError when the network has no vnet or gateway, or the MAC is bad
 */
export function routerChanges(
  ctx: Ul3Context,
  move: RouterMove,
): Promise<Changes> {
  return routersChanges(ctx, [move]);
}

/**
 * Many routers at once, as failover needs them: each vnet's nodes and each
 * zone's endpoint are read once.
 */
export async function routersChanges(
  ctx: Ul3Context,
  moves: readonly RouterMove[],
): Promise<Changes> {
  const vnets = new Set(moves.map((move) => routerKey(move).vnet));
  const zones = new Set(moves.flatMap((move) => move.zone_uuid ?? []));
  const nodesOf = new Map<number, string[]>();
  const requests: BatchRequest[] = [];
  const endpoints = new Map<string, Endpoint | null>();
  await Promise.all([
    ...[...vnets].map(async (vnet) => {
      const { nodes, guard } = await guardedAudience(ctx.store, vnet);
      nodesOf.set(vnet, nodes);
      // The vnet's first router makes the row that later moves insist on.
      requests.push(...(guard.length > 0 ? guard : [joined(vnet, 'router')]));
    }),
    ...[...zones].map(async (zone) => {
      endpoints.set(zone, await readUnderlay(ctx.store, zone));
    }),
  ]);
  const events: JournalEvent[] = [];
  for (const move of moves) {
    const router = routerKey(move);
    const nodes = nodesOf.get(router.vnet) ?? [];
    const zone = move.zone_uuid;
    const cn = zone ?? move.previous_zone_uuid;
    if (cn === null) continue;
    const mapping: Mapping = { ...router, cn };
    requests.push(...(zone ? putMapping(mapping) : [tombstone(mapping)]));
    events.push(mappingEvent(mapping, endpoints.get(zone ?? '') ?? null));
    requests.push(
      ...(move.previous_zone_uuid === null
        ? vl3Shootdowns(nodes, mapping, move.network.vlan_id, ctx.uuid)
        : vl2Shootdowns(nodes, mapping, ctx.uuid)),
    );
  }
  return { requests, events };
}

function routerKey(move: RouterMove): { vnet: number; ip: Ipv4; mac: Mac } {
  const { vnet_id: vnet, gateway } = move.network;
  const ip = gateway === undefined ? null : parseIpv4(gateway);
  const mac = parseMac(move.router_mac);
  if (vnet === undefined || ip === null || mac === null) {
    throw new TypeError('a router needs a vnet, a gateway and a MAC');
  }
  return { vnet, ip, mac };
}
