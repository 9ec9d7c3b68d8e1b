// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Placement of ten thousand fabrics, each with a public IP of its own, on fifty
 * zones: the decisions alone, and as the service commits them on each engine;
 * then what the loss of one of the zones costs there, without compute nodes and
 * with some in each vnet, which must be told. BENCH_PLACEMENT=500 takes another
 * number of fabrics.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#lib/clock.js';
import { eq } from '#lib/store/filter-text.js';
import type { Store } from '#lib/store/types.js';
import { natContext, putFabric, putZone } from '#test/nat-store.js';
import { startServer } from '#test/postgres.js';
import type { NapiContext } from '../../services/napi-nat/context.js';
import { failZone, restoreZone } from '../../services/napi-nat/failover.js';
import { findFabricsOf } from '../../services/napi-nat/nat-reform/state.js';
import {
  type PlacementPolicy,
  type PlacementPublic,
  type PlacementZone,
  placeFabric,
} from '../../services/napi-nat/placement.js';
import { planMove } from '../../services/napi-nat/placement-moves.js';
import { findPublics } from '../../services/napi-nat/public/find.js';
import { openStore } from '../../services/napi-nat/store/open.js';
import {
  VNET_CN_BUCKET,
  type VnetCnRow,
} from '../../services/napi-nat/ul3/records.js';
import { type Row, row } from './report.js';

const FABRICS = Number(process.env['BENCH_PLACEMENT'] ?? 10_000);
const ZONES = 50;
/** Zones that are lost, one after the other. */
const LOSSES = 5;
/** Compute nodes of each vnet. */
const NODES = 20;
const POLICY: PlacementPolicy = {
  sharing: 'per-owner',
  placement: 'spread',
  on_join: 'keep',
  pins: {},
  max_fabrics_per_public: 64,
};
const LOAD = { fabrics: 1, addresses: 256 };

const owner = (n: number) =>
  `00000001-0000-4000-8000-${String(n).padStart(12, '0')}`;

function zone(n: number): PlacementZone {
  return {
    uuid: `zone${n}`,
    server_uuid: null,
    state: 'up',
    standby: false,
    weight: 1,
    deaf: false,
    created: n,
    load: { fabrics: 0, addresses: 0 },
  };
}

/** The decisions alone. */
function decisions(): Row[] {
  const zones = Array.from({ length: ZONES }, (_, n) => zone(n));
  const at = new Map(zones.map((each) => [each.uuid, each]));
  const publics: PlacementPublic[] = [];
  const each: number[] = [];
  for (let n = 0; n < FABRICS; n += 1) {
    const request = { owner: owner(n), zones, home: [], shared: [] };
    const began = performance.now();
    const place = placeFabric({ ...request, policy: POLICY });
    each.push((performance.now() - began) * 1000);
    const chosen = at.get(place?.zone_uuid ?? '');
    if (chosen === undefined) throw new Error('no zone');
    chosen.load.fabrics += LOAD.fabrics;
    chosen.load.addresses += LOAD.addresses;
    const { uuid: zone_uuid } = chosen;
    publics.push({ ip: `ip${n}`, zone_uuid, owner_uuid: owner(n), load: LOAD });
  }
  const moves: number[] = [];
  for (const { uuid: lost } of zones) {
    const began = performance.now();
    planMove({
      lost,
      zones,
      publics: publics.filter(({ zone_uuid }) => zone_uuid === lost),
      neighbours: new Set(),
      policy: POLICY,
    });
    moves.push(performance.now() - began);
  }
  return [
    row('placement.decide.p50', 'us', each),
    row('placement.decide.p99', 'us', each, 0.99),
    row('placement.decide_move', 'ms', moves),
  ];
}

/** Compute nodes in the vnets of a zone. */
async function putNodes(ctx: NapiContext, uuid: string): Promise<void> {
  for (const { value } of await findPublics(ctx, eq('zone_uuid', uuid))) {
    for (const { vnet_id } of await findFabricsOf(ctx, value.ip)) {
      const rows = Array.from({ length: NODES }, (_, n) => {
        const row: VnetCnRow = { vnet_id, cn_uuid: `node${n}` };
        const key = `${vnet_id},${row.cn_uuid}`;
        return { bucket: VNET_CN_BUCKET, key, value: row };
      });
      await ctx.store.batch(rows);
    }
  }
}

/** Milliseconds that the loss of each zone takes. */
async function lose(ctx: NapiContext, zones: string[]): Promise<number[]> {
  const losses: number[] = [];
  for (const uuid of zones) {
    const start = performance.now();
    const { fabrics } = await failZone(ctx, uuid);
    losses.push(performance.now() - start);
    if (fabrics < FABRICS / ZONES) throw new Error(`only ${fabrics} moved`);
    await restoreZone(ctx, uuid);
  }
  return losses;
}

/** The same through a store. */
async function committed(engine: string, store: Store): Promise<Row[]> {
  const ctx = await natContext(store);
  const zones: string[] = [];
  for (let n = 1; n <= ZONES; n += 1) zones.push(await putZone(ctx, n));
  const each: number[] = [];
  const began = performance.now();
  for (let n = 0; n < FABRICS; n += 1) {
    const start = performance.now();
    await putFabric(ctx, n + 1, owner(n));
    each.push(performance.now() - start);
  }
  const seconds = (performance.now() - began) / 1000;
  const losses = await lose(ctx, zones.slice(0, LOSSES));
  const told = zones.slice(LOSSES, 2 * LOSSES);
  for (const uuid of told) await putNodes(ctx, uuid);
  return [
    row(`placement.commit.p50.${engine}`, 'ms', each),
    row(`placement.commit.p99.${engine}`, 'ms', each, 0.99),
    row(`placement.commit_all.${engine}`, 's', [seconds]),
    row(`placement.lose_zone.${engine}`, 'ms', losses),
    row(`placement.lose_zone_told.${engine}`, 'ms', await lose(ctx, told)),
  ];
}

/** Runs all of it. */
export async function benchPlacement(): Promise<Row[]> {
  const clock = systemClock();
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
  const rows = decisions();
  const level = await openStore({ directory: join(directory, 's') }, { clock });
  try {
    rows.push(...(await committed('level', level)));
  } finally {
    await level.close();
    rmSync(directory, { recursive: true, force: true });
  }
  const server = await startServer([]);
  try {
    const postgres = { url: server.url, schema: 'bench' };
    const store = await openStore({ postgres }, { clock });
    rows.push(...(await committed('postgres', store)));
    await store.close();
  } finally {
    await server.stop();
  }
  return rows;
}
