// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Rows that have had their time: old answers and old audit entries. */

import type { Timer } from '#lib/clock.js';
import { le } from '#lib/store/filter-text.js';
import type { NapiContext } from '../context.js';
import { AUDIT_BUCKET, AUDIT_MS } from './audit.js';
import { ONCE_BUCKET, ONCE_MS } from './once.js';

const EVERY_MS = 3_600_000;

/**
 * Deletes what is too old. Several processes may do it at once.
 * @returns how many rows went
 */
export async function forgetOld(
  ctx: Pick<NapiContext, 'store' | 'clock'>,
): Promise<number> {
  const now = ctx.clock.now();
  let gone = 0;
  for (const [bucket, field, age] of [
    [ONCE_BUCKET, 'created', ONCE_MS],
    [AUDIT_BUCKET, 'time', AUDIT_MS],
  ] as const) {
    let count: number;
    do {
      const filter = le(field, now - age);
      ({ count } = await ctx.store.deleteMany(bucket, filter));
      gone += count;
    } while (count > 0);
  }
  return gone;
}

/** Does so once an hour. */
export function forgetRegularly(
  ctx: Pick<NapiContext, 'store' | 'clock' | 'log'>,
): Timer {
  return ctx.clock.every(EVERY_MS, () => {
    forgetOld(ctx).catch((err: unknown) =>
      ctx.log.warn({ err }, 'old AIP requests could not be deleted'),
    );
  });
}
