// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * ListAIPs, GetAIP, CreateAIP, UpdateAIP, DetachAIP, DeleteAIP and their HEADs
 * (RFD 158, "CloudAPI"), with the statuses and headers that CloudAPI's own
 * collections have (facts: cloudapi 1.8, 1.9).
 */

import { invalidParameter, notFound, ServiceError } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { Caller } from '../auth/authorize.js';
import type { AipBackend } from '../napi-nat.js';
import {
  isUuid,
  readAipInput,
  readFlag,
  readListInput,
  requireObject,
} from './input.js';
import {
  invalidArgument,
  missingArgument,
  toPublic,
  toPublicError,
} from './translate.js';

/** Gives the backend for a request. */
export type BackendFor = (request: Request) => AipBackend;

type Verb = (
  request: Request,
  backend: AipBackend,
  caller: Caller,
) => Promise<Reply>;

/** The id in the path; anything that is no UUID is simply not found. */
function aipId(request: Request): string {
  const id = request.route['id'];
  if (!isUuid(id)) throw notFound('aip not found');
  return id;
}

const list: Verb = async (request, backend, { account }) => {
  const input = readListInput(request.params);
  const aips = await backend.list(account.uuid, input);
  return {
    status: 200,
    body: aips.map(toPublic),
    headers: {
      'x-query-limit': String(input.limit),
      'x-resource-count': String(aips.length),
    },
  };
};

const get: Verb = async (request, backend, { account }) => ({
  status: 200,
  body: toPublic(await backend.get(account.uuid, aipId(request))),
});

/** A login in a path: an address as login keeps its @, as CloudAPI writes it. */
function pathPart(login: string): string {
  return encodeURIComponent(login).replaceAll('%40', '@');
}

const create: Verb = async (request, backend, { account }) => {
  const input = readAipInput(request.params, false);
  if (input.private_ip !== undefined && input.instance === undefined) {
    throw missingArgument('instance');
  }
  const aip = toPublic(await backend.create(account.uuid, input));
  return {
    status: 201,
    body: aip,
    headers: { location: `/${pathPart(account.login)}/aips/${aip.id}` },
  };
};

const update: Verb = async (request, backend, { account }) => {
  const id = aipId(request);
  const input = readAipInput(request.params, true);
  return {
    status: 200,
    body: toPublic(await backend.update(account.uuid, id, input)),
  };
};

const detach: Verb = async (request, backend, { account }) => {
  const id = aipId(request);
  if (!readFlag(request.params, ['detach'])) {
    throw invalidArgument([
      invalidParameter('detach', 'must be true: no other action is known'),
    ]);
  }
  await backend.detach(account.uuid, id);
  return { status: 204 };
};

const remove: Verb = async (request, backend, { account }) => {
  const id = aipId(request);
  const really = readFlag(request.params, ['really_delete', 'really-delete']);
  await backend.remove(account.uuid, id, really);
  return { status: 204 };
};

/**
 * The routes of `/:login/aips`.
 * @param backendFor how to reach napi-nat for one request
 */
export function aipRoutes(backendFor: BackendFor): Route[] {
  const handle = (verb: Verb) => async (request: Request) => {
    const caller = request.context['caller'] as Caller;
    requireObject(request.body);
    try {
      return await verb(request, backendFor(request), caller);
    } catch (error) {
      throw explained(request, error);
    }
  };
  const one = '/:login/aips/:id';
  return [
    route(['GET', 'HEAD'], '/:login/aips', 'ListAIPs', handle(list)),
    route(['POST'], '/:login/aips', 'CreateAIP', handle(create)),
    route(['GET', 'HEAD'], one, 'GetAIP', handle(get)),
    route(['PUT'], one, 'UpdateAIP', handle(update)),
    route(['POST'], one, 'DetachAIP', handle(detach)),
    route(['DELETE'], one, 'DeleteAIP', handle(remove)),
  ];
}

/** What the customer is told; the cause of our own trouble is logged. */
function explained(request: Request, error: unknown): unknown {
  const told = toPublicError(error);
  if (told instanceof ServiceError && told.status >= 500) {
    request.log.warn({ err: error }, 'napi-nat could not do it');
  }
  return told;
}

function route(
  method: Route['method'],
  path: string,
  name: string,
  handler: Route['handler'],
): Route {
  return { method, path, name: name.toLowerCase(), handler };
}
