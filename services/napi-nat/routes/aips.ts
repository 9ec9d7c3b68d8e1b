// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `/aips`: Assignable IPs for cloudapi-aip and operators (RFD 158, "CloudAPI",
 * with NAPI's manners). With `owner_uuid` in a request, another owner's AIP is
 * not found.
 */

import { ServiceError } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import { createAip } from '../aip/create.js';
import { getAip, listAips } from '../aip/find.js';
import { type AipRecord, serializeAip } from '../aip/record.js';
import { deleteAip, detachAip } from '../aip/remove.js';
import { updateAip } from '../aip/update.js';
import type { NapiContext } from '../context.js';
import {
  address,
  integer,
  Parameters,
  tags,
  text,
} from '../validate/parameters.js';
import { bool, uuid } from '../validate/values.js';

/** The object as it is now, with its etag. */
async function shown(ctx: NapiContext, record: AipRecord): Promise<Reply> {
  const stored = await getAip(ctx, record.uuid);
  return {
    status: 200,
    body: serializeAip(stored.value),
    headers: { Etag: stored._etag },
  };
}

async function list(ctx: NapiContext, request: Request): Promise<Reply> {
  const params = new Parameters(request.params);
  const query = {
    owner_uuid: params.optional('owner_uuid', uuid),
    belongs_to_uuid: params.optional('belongs_to_uuid', uuid),
    ip: params.optional('ip', address),
    limit: params.optional('limit', integer(1, 1000)) ?? 1000,
    offset: params.optional('offset', integer(0, 2 ** 31)) ?? 0,
    marker: params.optional('marker', uuid),
  };
  params.finish();
  const records = await listAips(ctx, query);
  return { status: 200, body: records.map(serializeAip) };
}

/** The path's UUID and the owner that the request is limited to. */
function named(request: Request): { id: string; owner: string | undefined } {
  const params = new Parameters(request.params);
  const owner = params.optional('owner_uuid', uuid);
  params.finish();
  return { id: request.route['uuid'] as string, owner };
}

async function get(ctx: NapiContext, request: Request): Promise<Reply> {
  const { id, owner } = named(request);
  const stored = await getAip(ctx, id, owner);
  const reply = conditional(request, stored._etag);
  return (
    reply ?? {
      status: 200,
      body: serializeAip(stored.value),
      headers: { Etag: stored._etag },
    }
  );
}

async function create(ctx: NapiContext, request: Request): Promise<Reply> {
  const params = new Parameters(request.params);
  const input = {
    owner_uuid: params.required('owner_uuid', uuid),
    uuid: params.optional('uuid', uuid),
    instance: params.optional('instance', uuid),
    private_ip: params.optional('private_ip', address),
    description: params.optional('description', text),
    tags: params.optional('tags', tags),
  };
  if (input.private_ip !== undefined && input.instance === undefined) {
    params.required('instance', uuid);
  }
  params.finish();
  return shown(ctx, await createAip(ctx, withoutUndefined(input)));
}

/** Drops absent fields: optional means absent, not undefined. */
function withoutUndefined<T extends object>(
  input: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]: Exclude<T[K], undefined> };
}

async function update(ctx: NapiContext, request: Request): Promise<Reply> {
  const { uuid: id, ...body } = request.params;
  const params = new Parameters(body);
  const input = {
    owner_uuid: params.optional('owner_uuid', uuid),
    instance: params.optional('instance', uuid),
    private_ip: params.optional('private_ip', address),
    remap: params.optional('remap', bool),
    description: params.clearable('description', text),
    tags: params.clearable('tags', tags),
  };
  params.finish();
  const check = (etag: string) => void conditional(request, etag);
  return shown(ctx, await updateAip(ctx, String(id), input, check));
}

/** `POST /aips/:uuid?detach=true`; no other action is known. */
async function act(ctx: NapiContext, request: Request): Promise<Reply> {
  const { id, owner } = named(request);
  if (
    request.params['detach'] !== 'true' &&
    request.params['detach'] !== true
  ) {
    throw new ServiceError(422, {
      code: 'InvalidParameters',
      message: 'Invalid parameters',
      errors: [
        {
          field: 'detach',
          code: 'InvalidParameter',
          message: 'must be "true": this is the only action on an AIP',
        },
      ],
    });
  }
  const check = (etag: string) => void conditional(request, etag);
  await detachAip(ctx, id, owner, check);
  return { status: 204 };
}

async function remove(ctx: NapiContext, request: Request): Promise<Reply> {
  const { id, owner } = named(request);
  const params = new Parameters(request.params);
  const really = params.optional('really_delete', bool) ?? false;
  params.finish();
  const check = (etag: string) => void conditional(request, etag);
  await deleteAip(ctx, id, { owner, really }, check);
  return { status: 204 };
}

/** Routes of AIPs. */
export function aipRoutes(ctx: NapiContext): Route[] {
  const one = '/aips/:uuid';
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/aips',
      name: 'listaips',
      handler: (request) => list(ctx, request),
    },
    {
      method: 'POST',
      path: '/aips',
      name: 'createaip',
      handler: (request) => create(ctx, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getaip',
      handler: (request) => get(ctx, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updateaip',
      handler: (request) => update(ctx, request),
    },
    {
      method: 'POST',
      path: one,
      name: 'actonaip',
      handler: (request) => act(ctx, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deleteaip',
      handler: (request) => remove(ctx, request),
    },
  ];
}
