// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is done about a watched zone, one thing at a time: raised, given up,
 * lamented, given its share. What came of it is noted on the zone and logged.
 */

import type { NapiContext } from '../context.js';
import { failZone, restoreZone } from '../failover.js';
import { giveShare } from './share.js';
import { lastSign, type WatchedZone } from './watch.js';

type Action = (ctx: NapiContext, watched: WatchedZone) => Promise<void>;

/** Begins; the zone is busy until it has ended, however it ends. */
export function act(
  ctx: NapiContext,
  watched: WatchedZone,
  action: Action,
): void {
  watched.busy = action(ctx, watched)
    .catch((err) => {
      const zone = watched.zone.uuid;
      ctx.log.error({ err, zone }, 'decision about a zone failed');
    })
    .finally(() => {
      // The next observation looks again; acting here at once would spin
      // on a store that refuses everything.
      watched.busy = null;
    });
}

/** A zone that was new or down is alive. */
export const raise: Action = async (ctx, watched) => {
  const zone = watched.zone.uuid;
  const from = watched.zone.state;
  const state = await restoreZone(ctx, zone);
  ctx.log.info({ zone, from, state }, 'zone is alive');
};

/**
 * A zone is lost: its work goes to others.
 * @param suspects zones that must inherit nothing
 */
export async function drop(
  ctx: NapiContext,
  watched: WatchedZone,
  suspects: ReadonlySet<string>,
): Promise<void> {
  const { clock, log } = ctx;
  const { zone, liveness } = watched;
  const result = await failZone(ctx, zone.uuid, suspects);
  if (!result.moved) return;
  const { moved: _moved, ...counts } = result;
  const heard = lastSign(liveness);
  const detect = Number.isFinite(heard) ? liveness.since - heard : 0;
  watched.failover = {
    ...counts,
    at: new Date(clock.now()).toISOString(),
    cause: liveness.cause ?? 'unknown',
    detect_ms: Math.round(detect),
    decide_ms: Math.round(clock.monotonic() - liveness.since),
  };
  log.warn({ zone: zone.uuid, failover: watched.failover }, 'zone is lost');
}

/** A zone that joined gets some of its share; it is done when none was left. */
export const share: Action = async (ctx, watched) => {
  const zone = watched.zone.uuid;
  const moved = await giveShare(ctx, zone);
  watched.joining = moved > 0;
  if (moved > 0) ctx.log.info({ zone, moved }, 'public IPs for a new zone');
};

/** A zone is lost and nobody could take over: said once. */
export function lament(ctx: NapiContext, watched: WatchedZone): void {
  if (watched.lamented) return;
  watched.lamented = true;
  const { cause } = watched.liveness;
  ctx.log.error(
    { zone: watched.zone.uuid, cause },
    'a zone gives no sign of life; no other answers that could take over',
  );
}
