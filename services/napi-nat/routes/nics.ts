// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nics`, and NICs provisioned on a network (facts: triton-napi 5). */

import type { FieldError } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import type { NicAt } from '../nic/changes.js';
import { createNic } from '../nic/create.js';
import {
  type CommonInput,
  createSpec,
  listSpec,
  updateSpec,
} from '../nic/input.js';
import { networkErrors } from '../nic/place.js';
import { getNic, listNics, showNic } from '../nic/read.js';
import { type NicRecord, serializeNic } from '../nic/record.js';
import { removeNic } from '../nic/remove.js';
import { updateNic } from '../nic/update.js';
import { tagErrors } from '../nic-tag/exists.js';
import { mac } from '../validate/addresses.js';
import { read, readOrThrow, refuse } from '../validate/params.js';

/** The NIC of the path, on the request's If-Match. */
async function matched(
  ctx: NapiContext,
  request: Request,
): Promise<StoredObject<NicRecord>> {
  const path = readOrThrow(request.route, { required: { mac } });
  const stored = await getNic(ctx, path.mac);
  conditional(request, stored._etag);
  return stored;
}

function shown({ nic, network }: NicAt): Reply {
  return {
    status: 200,
    body: serializeNic(nic, network?.value ?? null),
    headers: { Etag: etagOfRecord(nic) },
  };
}

/** All that is wrong at once, as NAPI's validators say it. */
async function refuseAll(
  ctx: NapiContext,
  input: CommonInput,
  errors: FieldError[],
): Promise<void> {
  const found = [...errors, ...(await tagErrors(ctx, input))];
  if (found.length === 0) return;
  refuse([...found, ...(await networkErrors(ctx, input))]);
}

async function create(ctx: NapiContext, request: Request): Promise<Reply> {
  const { input, errors } = read(request.params, createSpec);
  await refuseAll(ctx, input, errors);
  return shown(await createNic(ctx, input));
}

async function get(ctx: NapiContext, request: Request): Promise<Reply> {
  const path = readOrThrow(request.route, { required: { mac } });
  const stored = await getNic(ctx, path.mac);
  return (
    conditional(request, stored._etag) ?? {
      status: 200,
      body: await showNic(ctx, stored.value),
      headers: { Etag: stored._etag },
    }
  );
}

async function update(ctx: NapiContext, request: Request): Promise<Reply> {
  await matched(ctx, request);
  const { input, errors } = read(request.params, updateSpec);
  await refuseAll(ctx, input, errors);
  return shown(await updateNic(ctx, () => matched(ctx, request), input));
}

/** Routes of NICs. */
export function nicRoutes(ctx: NapiContext): Route[] {
  const one = '/nics/:mac';
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/nics',
      name: 'listnics',
      async handler(request) {
        const input = readOrThrow(request.params, listSpec);
        return { status: 200, body: await listNics(ctx, input) };
      },
    },
    {
      method: 'POST',
      path: '/nics',
      name: 'createnic',
      handler: (request) => create(ctx, request),
    },
    {
      method: 'POST',
      path: '/networks/:network_uuid/nics',
      name: 'provisionnic',
      handler: (request) => create(ctx, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getnic',
      handler: (request) => get(ctx, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updatenic',
      handler: (request) => update(ctx, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deletenic',
      async handler(request) {
        await removeNic(ctx, () => matched(ctx, request));
        return { status: 204 };
      },
    },
  ];
}
