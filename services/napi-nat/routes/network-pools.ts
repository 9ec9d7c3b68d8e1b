// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/network_pools` (facts: triton-napi 6.2). */

import { ServiceError } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import { createSpec, listSpec, updateSpec } from '../network-pool/input.js';
import {
  createPool,
  getPool,
  listPools,
  mayProvision,
  networksOf,
  type PoolAt,
  removePool,
  updatePool,
} from '../network-pool/pools.js';
import { type PoolRecord, serializePool } from '../network-pool/record.js';
import { readOrThrow } from '../validate/params.js';
import { uuid } from '../validate/values.js';

async function shownBody(ctx: NapiContext, pool: PoolRecord) {
  const networks = await networksOf(ctx, pool);
  return serializePool(
    pool,
    networks.map(({ value }) => value.nic_tag),
  );
}

function shown({ pool, tags }: PoolAt): Reply {
  return {
    status: 200,
    body: serializePool(pool, tags),
    headers: { Etag: etagOfRecord(pool) },
  };
}

async function poolOf(
  ctx: NapiContext,
  request: Request,
): Promise<StoredObject<PoolRecord>> {
  // What is no UUID is 422 here, where it is 404 for a network: as in NAPI.
  const path = readOrThrow(request.route, { required: { uuid } });
  return getPool(ctx, path.uuid);
}

async function get(ctx: NapiContext, request: Request): Promise<Reply> {
  const stored = await poolOf(ctx, request);
  const { provisionable_by: by } = readOrThrow(request.params, {
    optional: { provisionable_by: uuid },
  });
  const admin = ctx.config.admin_uuid;
  if (by !== undefined && !mayProvision(stored.value, by, admin)) {
    throw new ServiceError(403, {
      code: 'NotAuthorized',
      message: 'owner cannot provision on network pool',
    });
  }
  return (
    conditional(request, stored._etag) ?? {
      status: 200,
      body: await shownBody(ctx, stored.value),
      headers: { Etag: stored._etag },
    }
  );
}

/** The pool of the path, on the request's If-Match. */
async function matched(
  ctx: NapiContext,
  request: Request,
): Promise<StoredObject<PoolRecord>> {
  const stored = await poolOf(ctx, request);
  conditional(request, stored._etag);
  return stored;
}

async function update(ctx: NapiContext, request: Request): Promise<Reply> {
  await matched(ctx, request);
  const input = readOrThrow(request.params, updateSpec);
  return shown(await updatePool(ctx, () => matched(ctx, request), input));
}

/** Routes of network pools. */
export function networkPoolRoutes(ctx: NapiContext): Route[] {
  const all = '/network_pools';
  const one = `${all}/:uuid`;
  return [
    {
      method: ['GET', 'HEAD'],
      path: all,
      name: 'listnetworkpools',
      async handler(request) {
        const input = readOrThrow(request.params, listSpec);
        const pools = await listPools(ctx, input);
        const body = await Promise.all(
          pools.map((pool) => shownBody(ctx, pool)),
        );
        return { status: 200, body };
      },
    },
    {
      method: 'POST',
      path: all,
      name: 'createnetworkpool',
      async handler(request) {
        const input = readOrThrow(request.params, createSpec);
        return shown(await createPool(ctx, input));
      },
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getnetworkpool',
      handler: (request) => get(ctx, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updatenetworkpool',
      handler: (request) => update(ctx, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deletenetworkpool',
      async handler(request) {
        await removePool(ctx, () => matched(ctx, request));
        return { status: 204 };
      },
    },
  ];
}
