// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/ping` and `/manage/gc` (facts: triton-napi 7, 1.2). */

import { ServiceError } from '#lib/errors.js';
import type { Reply, Route } from '#lib/http/types.js';
import type { NapiContext } from '../context.js';

/**
 * The routes of ping and of garbage collection. Ping is served only once
 * everything is there, so its status is never "initializing"; a store that
 * cannot be read is "offline".
 */
export function pingRoutes(
  ctx: Pick<NapiContext, 'config' | 'store'>,
): Route[] {
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/ping',
      name: 'getping',
      async handler() {
        const online = await isOnline(ctx);
        const body = {
          config: {
            fabrics_enabled: ctx.config.overlay.enabled,
            subnet_alloc_enabled: ctx.config.auto_alloc_subnets === true,
          },
          healthy: online,
          services: { moray: online ? 'online' : 'offline' },
          status: 'OK',
        };
        return { status: 200, body };
      },
    },
    { method: ['GET', 'HEAD'], path: '/manage/gc', name: 'rungc', handler: gc },
  ];
}

/** Collects garbage where node was started with --expose-gc. */
function gc(): Reply {
  if (globalThis.gc === undefined) {
    throw new ServiceError(501, {
      code: 'NotImplementedError',
      message: 'Garbage collection is not exposed',
    });
  }
  const start = process.memoryUsage();
  globalThis.gc();
  return { status: 200, body: { start, end: process.memoryUsage() } };
}

async function isOnline(ctx: Pick<NapiContext, 'store'>): Promise<boolean> {
  try {
    await ctx.store.getBucket('napi_networks');
    return true;
  } catch {
    return false;
  }
}
