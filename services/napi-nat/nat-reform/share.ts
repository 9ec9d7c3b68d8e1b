// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A zone that joined under `rebalance` is given its share, a few public IPs at
 * a time: each batch is a whole (a public IP with all that follows it), and a
 * failure may come between two. The caller sees to it that the zone has
 * acknowledged the rules (make before break).
 */

import { and, eq } from '#lib/store/filter-text.js';
import { commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { planShare } from '../placement-moves.js';
import { findPublics } from '../public/find.js';
import { placementPublic } from '../public/record.js';
import { settled } from '../zone/states.js';
import { readLedger } from './ledger.js';
import { moveChanges, type Publics, putZones } from './moves.js';
import { placementPolicy, placementZones, readZones } from './state.js';

/** Public IPs that one batch moves. */
const AT_ONCE = 16;

async function followers(ctx: NapiContext, ips: string[]): Promise<Publics> {
  const found = await Promise.all(
    ips.map((ip) =>
      findPublics(ctx, and(eq('kind', 'aip'), eq('follows', ip))),
    ),
  );
  return found.flat();
}

/**
 * Moves the next public IPs to a zone.
 * @returns how many; 0 when it is not joining, has its share, or is gone
 */
export async function giveShare(
  ctx: NapiContext,
  uuid: string,
): Promise<number> {
  return ctx.placing.run(() =>
    commit(ctx, async () => {
      const ledger = await readLedger(ctx.store);
      const zones = await readZones(ctx);
      const target = zones.find(({ value }) => value.uuid === uuid);
      if (target?.value.joining !== true) {
        return { changes: merge(), result: 0 };
      }
      const deaf = ctx.deaf?.() ?? new Set();
      const all = await findPublics(ctx, eq('kind', 'snat'));
      const moves = planShare({
        to: uuid,
        zones: placementZones(ctx, zones, ledger),
        // What a zone would go on announcing is not taken from it.
        publics: all
          .filter(({ value }) => !deaf.has(value.zone_uuid ?? ''))
          .map(({ value }) => placementPublic(value))
          .filter((view) => view !== null),
        policy: placementPolicy(ctx),
        most: AT_ONCE,
      });
      if (moves.length === 0) {
        const record = settled(target.value);
        return { changes: putZones([target], [record]), result: 0 };
      }
      const ips = moves.map(({ ip }) => ip);
      const snat = all.filter(({ value }) => ips.includes(value.ip));
      const aips = await followers(ctx, ips);
      const standing = { zones, snat, aips, ledger };
      const { changes } = await moveChanges(ctx, standing, moves);
      return { changes, result: moves.length };
    }),
  );
}
