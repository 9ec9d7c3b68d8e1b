// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Public IPs that move to other zones, as one batch: the addresses with their
 * AIPs, the default routers of their fabrics with shootdowns, the loads, and a
 * zone in reserve that is in reserve no more. Who moves where was decided
 * before (placement-moves.ts).
 */

import type { StoredObject } from '#lib/store/types.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import type { Move } from '../placement-moves.js';
import { type PublicRecord, publicEvent, putPublic } from '../public/record.js';
import { type RouterMove, routersChanges } from '../ul3/rows.js';
import { putZone, type ZoneRecord, zoneEvent } from '../zone/record.js';
import { woken } from '../zone/states.js';
import { advancedLedger, type Ledger, negated } from './ledger.js';
import { findFabricsOf } from './state.js';

export type Zones = StoredObject<ZoneRecord>[];
export type Publics = StoredObject<PublicRecord>[];

/** What was read to decide on, as it was read. */
export interface Standing {
  zones: Zones;
  /** At least the SNAT public IPs that move. */
  snat: Publics;
  /** At least the AIPs that follow these. */
  aips: Publics;
  ledger: Ledger;
}

/** Puts zone records in place of those that were read. */
export function putZones(
  zones: Zones,
  records: readonly ZoneRecord[],
): Changes {
  const etags = new Map(zones.map(({ value, _etag }) => [value.uuid, _etag]));
  return {
    requests: records.map((record) =>
      putZone(record, etags.get(record.uuid) ?? null),
    ),
    events: records.map((record) => zoneEvent(record, 'state')),
  };
}

/** Public IPs to their new zones; AIPs go where their fabric's router goes. */
function movePublics(standing: Standing, to: Map<string, string>): Changes {
  const moved = [...standing.snat, ...standing.aips].flatMap((stored) => {
    const zone = to.get(stored.value.follows ?? stored.value.ip);
    if (zone === undefined) return [];
    return [
      { etag: stored._etag, value: { ...stored.value, zone_uuid: zone } },
    ];
  });
  return {
    requests: moved.map(({ value, etag }) => putPublic(value, etag)),
    events: moved.map(({ value }) => publicEvent(value, 'zone')),
  };
}

/** Default routers of all fabrics on the moved public IPs. */
async function moveRouters(
  ctx: NapiContext,
  snat: Publics,
  to: Map<string, string>,
): Promise<{ changes: Changes; fabrics: number }> {
  const found = await Promise.all(
    snat.map(async ({ value: { ip, zone_uuid: from } }) => {
      const zone = to.get(ip);
      if (zone === undefined) return [];
      return (await findFabricsOf(ctx, ip)).map(
        (fabric): RouterMove => ({
          network: fabric,
          router_mac: fabric.router_mac,
          zone_uuid: zone,
          previous_zone_uuid: from ?? null,
        }),
      );
    }),
  );
  const moves = found.flat();
  const changes = await routersChanges(ctx, moves);
  return { changes, fabrics: moves.length };
}

function moveLoads(standing: Standing, to: Map<string, string>): Changes {
  const shifts = standing.snat.flatMap(({ value }) => {
    const { ip, zone_uuid: from, fabrics, addresses } = value;
    const zone = to.get(ip);
    if (zone === undefined) return [];
    const load = { fabrics, addresses };
    return [
      ...(from === undefined ? [] : [{ zone: from, load: negated(load) }]),
      { zone, load },
    ];
  });
  return { requests: [advancedLedger(standing.ledger, shifts)], events: [] };
}

/**
 * The batch of some moves; it advances the ledger in any case.
 * @returns how many fabrics and AIPs go along
 */
export async function moveChanges(
  ctx: NapiContext,
  standing: Standing,
  moves: readonly Move[],
): Promise<{ changes: Changes; fabrics: number; aips: number }> {
  const to = new Map(moves.map((move) => [move.ip, move.to]));
  const { fabrics, changes } = await moveRouters(ctx, standing.snat, to);
  const busy = new Set(to.values());
  const records = standing.zones.map(({ value }) => value);
  return {
    fabrics,
    aips: standing.aips.filter(({ value }) => to.has(value.follows ?? ''))
      .length,
    changes: merge(
      movePublics(standing, to),
      putZones(standing.zones, woken(records, busy)),
      moveLoads(standing, to),
      changes,
    ),
  };
}
