// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * ListAIPs, GetAIP, CreateAIP, UpdateAIP, DetachAIP, DeleteAIP and their HEADs
 * (RFD 158, "CloudAPI"), with the statuses and headers that CloudAPI's own
 * collections have (facts: cloudapi 1.8, 1.9).
 */

import { notFound } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { Caller } from '../auth/authenticate.js';
import type { AipBackend } from '../napi-nat.js';
import { isUuid, readAipInput, readFlag, readListInput } from './input.js';
import { invalidArgument, toPublic, toPublicError } from './translate.js';

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

const create: Verb = async (request, backend, { account }) => {
  const input = readAipInput(request.params, false);
  const aip = toPublic(await backend.create(account.uuid, input));
  return {
    status: 201,
    body: aip,
    headers: { location: `/${account.login}/aips/${aip.id}` },
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
    throw invalidArgument('the only action on an AIP is ?detach=true');
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
    try {
      return await verb(request, backendFor(request), caller);
    } catch (error) {
      throw toPublicError(error);
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

function route(
  method: Route['method'],
  path: string,
  name: string,
  handler: Route['handler'],
): Route {
  return { method, path, name: name.toLowerCase(), handler };
}
