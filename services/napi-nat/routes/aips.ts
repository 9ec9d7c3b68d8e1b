// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `/aips`: Assignable IPs for cloudapi-aip and operators (RFD 158, "CloudAPI",
 * with NAPI's manners). With `owner_uuid` in a request, another owner's AIP is
 * not found.
 */

import { ServiceError } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import { AIP_STATES } from '#lib/model/aip.js';
import { listAudit } from '../aip/audit.js';
import { createAip } from '../aip/create.js';
import { listAips } from '../aip/find.js';
import type { AipProgress } from '../aip/progress.js';
import { type AipAnswer, type AipRecord, serializeAip } from '../aip/record.js';
import { deleteAip, detachAip } from '../aip/remove.js';
import { updateAip } from '../aip/update.js';
import { awaitState } from '../aip/wait.js';
import type { NapiContext } from '../context.js';
import {
  address,
  integer,
  Parameters,
  tags,
  text,
} from '../validate/parameters.js';
import { type Check, Fault } from '../validate/params.js';
import { bool, oneOf, uuid, uuidArray } from '../validate/values.js';
import { askedBy, etagOfState, unchanged } from './aip-headers.js';

/** The longest wait for a state, in seconds; shorter than proxies wait. */
const MAX_WAIT_S = 50;
const WAIT_S = 30;

/** What the routes stand on. */
interface Aips {
  ctx: NapiContext;
  progress: AipProgress;
}

const state = oneOf(...AIP_STATES);

/** `tag.k=v` of a query, by name. */
function tagFilters(params: Request['params']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(params)
      .filter(([name]) => name.startsWith('tag.') && name.length > 4)
      .map(([name, value]) => [name.slice(4), value]),
  );
}

const tagValues: Check<Record<string, string>> = (value) =>
  Object.values(value as object).every((each) => typeof each === 'string')
    ? (value as Record<string, string>)
    : new Fault('must be given once each');

async function list({ ctx, progress }: Aips, request: Request): Promise<Reply> {
  const params = new Parameters({
    ...request.params,
    'tag.*': tagFilters(request.params),
  });
  const query = {
    owner_uuid: params.optional('owner_uuid', uuid),
    belongs_to_uuid: params.optional('belongs_to_uuid', uuid),
    ip: params.optional('ip', address),
    attached: params.optional('attached', bool),
    tags: params.optional('tag.*', tagValues),
    limit: params.optional('limit', integer(1, 1000)) ?? 1000,
    offset: params.optional('offset', integer(0, 2 ** 31)) ?? 0,
    marker: params.optional('marker', uuid),
  };
  const wanted = params.optional('state', state);
  // An index knows this much of a state.
  query.attached ??= wanted?.startsWith('attach');
  params.finish();
  const stateOf = progress.states();
  const matches = wanted && ((record: AipRecord) => stateOf(record) === wanted);
  const records = await listAips(ctx, query, matches);
  return {
    status: 200,
    body: records.map((record) => serializeAip(record, stateOf(record))),
  };
}

/** The path's UUID and the owner that the request is limited to. */
function named(request: Request): { id: string; owner: string | undefined } {
  const params = new Parameters(request.params);
  const owner = params.optional('owner_uuid', uuid);
  params.finish();
  return { id: request.route['uuid'] as string, owner };
}

async function get(aips: Aips, request: Request): Promise<Reply> {
  const { id, owner } = named(request);
  const params = new Parameters(request.params);
  const wanted = params.optional('wait', state) ?? null;
  const timeout = params.optional('timeout', integer(0, MAX_WAIT_S)) ?? WAIT_S;
  params.finish();
  const seen = await awaitState(
    aips.ctx,
    aips.progress,
    { uuid: id, owner },
    { state: wanted, ms: timeout * 1000 },
  );
  const etag = etagOfState(seen.stored._etag, seen.state);
  return (
    unchanged(request, etag) ?? {
      status: 200,
      body: serializeAip(seen.stored.value, seen.state),
      headers: { Etag: etag },
    }
  );
}

function shown(answer: AipAnswer): Reply {
  const { etag, ...body } = answer;
  const headers = { Etag: etagOfState(etag, body.state) };
  return { status: 200, body, headers };
}

async function create({ ctx }: Aips, request: Request): Promise<Reply> {
  const params = new Parameters(request.params);
  const input = {
    owner_uuid: params.required('owner_uuid', uuid),
    uuid: params.optional('uuid', uuid),
    instance: params.optional('instance', uuid),
    private_ip: params.optional('private_ip', address),
    description: params.optional('description', text),
    tags: params.optional('tags', tags),
    deletion_protection: params.optional('deletion_protection', bool),
    role_tags: params.optional('role_tags', uuidArray),
  };
  if (input.private_ip !== undefined && input.instance === undefined) {
    params.required('instance', uuid);
  }
  params.finish();
  const asked = askedBy(request, input.owner_uuid, input);
  return shown(await createAip(ctx, withoutUndefined(input), asked));
}

/** Drops absent fields: optional means absent, not undefined. */
function withoutUndefined<T extends object>(
  input: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]: Exclude<T[K], undefined> };
}

async function update(
  { ctx, progress }: Aips,
  request: Request,
): Promise<Reply> {
  const { uuid: id, ...body } = request.params;
  const params = new Parameters(body);
  const input = {
    owner_uuid: params.optional('owner_uuid', uuid),
    instance: params.optional('instance', uuid),
    private_ip: params.optional('private_ip', address),
    remap: params.optional('remap', bool),
    description: params.clearable('description', text),
    tags: params.clearable('tags', tags),
    deletion_protection: params.optional('deletion_protection', bool),
    role_tags: params.optional('role_tags', uuidArray),
  };
  params.finish();
  const asked = askedBy(request, input.owner_uuid, input);
  const whole = { ...asked, state: progress.state };
  return shown(await updateAip(ctx, String(id), input, whole));
}

/** `POST /aips/:uuid?detach=true`; no other action is known. */
async function act({ ctx }: Aips, request: Request): Promise<Reply> {
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
  await detachAip(ctx, id, owner, askedBy(request, owner, {}));
  return { status: 204 };
}

async function remove({ ctx }: Aips, request: Request): Promise<Reply> {
  const { id, owner } = named(request);
  const params = new Parameters(request.params);
  const really = params.optional('really_delete', bool) ?? false;
  params.finish();
  const asked = askedBy(request, owner, { really });
  await deleteAip(ctx, id, { owner, really }, asked);
  return { status: 204 };
}

async function audit({ ctx }: Aips, request: Request): Promise<Reply> {
  const { id, owner } = named(request);
  return { status: 200, body: await listAudit(ctx, id, owner) };
}

/**
 * Routes of AIPs.
 * @param progress says in which state an AIP is
 */
export function aipRoutes(ctx: NapiContext, progress: AipProgress): Route[] {
  const aips: Aips = { ctx, progress };
  const one = '/aips/:uuid';
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/aips',
      name: 'listaips',
      handler: (request) => list(aips, request),
    },
    {
      method: 'POST',
      path: '/aips',
      name: 'createaip',
      handler: (request) => create(aips, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getaip',
      handler: (request) => get(aips, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updateaip',
      handler: (request) => update(aips, request),
    },
    {
      method: 'POST',
      path: one,
      name: 'actonaip',
      handler: (request) => act(aips, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deleteaip',
      handler: (request) => remove(aips, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: `${one}/audit`,
      name: 'listaipaudit',
      handler: (request) => audit(aips, request),
    },
  ];
}
