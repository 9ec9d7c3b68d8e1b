// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/networks` (facts: triton-napi 3). */

import { notFound, ServiceError } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import { isOwner } from '../network/check.js';
import { createNetwork } from '../network/create.js';
import {
  type CreateInput,
  listSpec,
  networkFields,
  networkSpecs,
} from '../network/input.js';
import { listNetworks } from '../network/list.js';
import { findGlobalNetwork, getNetwork } from '../network/read.js';
import { type NetworkRecord, serializeNetwork } from '../network/record.js';
import { removeNetwork } from '../network/remove.js';
import { updateNetwork } from '../network/update.js';
import { tagErrors } from '../nic-tag/exists.js';
import { read, readOrThrow, refuse } from '../validate/params.js';
import { isUuid, uuid } from '../validate/values.js';

/**
 * A network by its UUID, or `admin`.
 * @throws ServiceError 404 `network not found`, also for what is no UUID
 */
export async function networkOfPath(
  ctx: Pick<NapiContext, 'store'>,
  id: string,
): Promise<StoredObject<NetworkRecord>> {
  if (isUuid(id)) return getNetwork(ctx, id);
  const admin = id === 'admin' ? await findGlobalNetwork(ctx, id) : null;
  if (admin === null) throw notFound('network not found');
  return admin;
}

/** Checked parameters of a new network, its NIC tag looked up too. */
export async function readCreate(
  ctx: Pick<NapiContext, 'store' | 'config'>,
  params: Record<string, unknown>,
): Promise<CreateInput> {
  const { input, errors } = read(params, networkSpecs(ctx.config).create);
  refuse([...errors, ...(await tagErrors(ctx, input))]);
  return input;
}

/** @throws ServiceError 404 another's, 403 not provisionable */
function refuseStranger(
  ctx: NapiContext,
  network: NetworkRecord,
  params: { owner_uuid?: string; provisionable_by?: string },
): void {
  const admin = ctx.config.admin_uuid;
  const { owner_uuid: owner, provisionable_by: by } = params;
  if (owner !== undefined && !isOwner(network, owner, admin)) {
    throw notFound('network not found');
  }
  if (by !== undefined && !isOwner(network, by, admin)) {
    throw new ServiceError(403, {
      code: 'NotAuthorized',
      message: 'owner cannot provision on network',
    });
  }
}

async function get(ctx: NapiContext, request: Request): Promise<Reply> {
  const stored = await networkOfPath(ctx, request.route['uuid'] as string);
  const unchanged = conditional(request, stored._etag);
  if (unchanged) return unchanged;
  const params = readOrThrow(request.params, {
    optional: {
      fields: networkFields,
      owner_uuid: uuid,
      provisionable_by: uuid,
    },
  });
  refuseStranger(ctx, stored.value, params);
  return {
    status: 200,
    body: serializeNetwork(stored.value, { fields: params.fields }),
    headers: { Etag: stored._etag },
  };
}

/** The network of the path, on the request's If-Match. */
async function matched(
  ctx: NapiContext,
  request: Request,
): Promise<StoredObject<NetworkRecord>> {
  const stored = await networkOfPath(ctx, request.route['uuid'] as string);
  conditional(request, stored._etag);
  return stored;
}

async function update(ctx: NapiContext, request: Request): Promise<Reply> {
  await matched(ctx, request);
  const input = readOrThrow(request.params, networkSpecs(ctx.config).update);
  const find = () => matched(ctx, request);
  const record = await updateNetwork(ctx, find, input);
  return {
    status: 200,
    body: serializeNetwork(record),
    headers: { Etag: etagOfRecord(record) },
  };
}

/** Routes of networks. */
export function networkRoutes(ctx: NapiContext): Route[] {
  const one = '/networks/:uuid';
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/networks',
      name: 'listnetworks',
      async handler(request) {
        const input = readOrThrow(request.params, listSpec);
        const networks = await listNetworks(ctx, input);
        return {
          status: 200,
          body: networks.map((network) => serializeNetwork(network)),
        };
      },
    },
    {
      method: 'POST',
      path: '/networks',
      name: 'createnetwork',
      async handler(request) {
        const input = await readCreate(ctx, request.params);
        const record = await createNetwork(ctx, input);
        return {
          status: 200,
          body: serializeNetwork(record, { fields: input.fields }),
          headers: { Etag: etagOfRecord(record) },
        };
      },
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getnetwork',
      handler: (request) => get(ctx, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updatenetwork',
      handler: (request) => update(ctx, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deletenetwork',
      async handler(request) {
        const { key } = await matched(ctx, request);
        await removeNetwork(ctx, key, () => matched(ctx, request));
        return { status: 204 };
      },
    },
  ];
}
