// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What each call of api/operations.ts does, with the statuses and headers that
 * CloudAPI's own collections have (facts: cloudapi 1.8, 1.9).
 */

import { notFound, ServiceError } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import { actionOf, type OperationName, operations } from '../api/operations.js';
import type { Caller } from '../auth/authorize.js';
import type { AipBackend, Tagged } from '../napi-nat.js';
import {
  isUuid,
  readAipInput,
  readListInput,
  readReally,
  readRoleTags,
  readWait,
  requireDetach,
  requireObject,
} from './input.js';
import type { RoleTags } from './role-tags.js';
import { missingArgument, toPublic, toPublicError } from './translate.js';

/** What a call works with. */
interface Work {
  request: Request;
  backend: AipBackend;
  caller: Caller;
  roleTags: RoleTags;
}

type Verb = (work: Work) => Promise<Reply>;

/** How the routes reach the rest of the service. */
export interface AipServices {
  backendFor(request: Request): AipBackend;
  roleTags: RoleTags;
}

/** The id in the path; anything that is no UUID is simply not found. */
function aipId(request: Request): string {
  const id = request.route['id'];
  if (!isUuid(id)) throw notFound('aip not found');
  return id;
}

/** A login in a path: an address as login keeps its @, as CloudAPI writes it. */
function pathPart(login: string): string {
  return encodeURIComponent(login).replaceAll('%40', '@');
}

/** The reply with an AIP, its etag and the names of its role tags. */
async function shown(
  { caller, roleTags }: Work,
  { aip, etag }: Tagged,
  status = 200,
): Promise<Reply> {
  const headers = { etag: `"${etag}"` };
  if (aip === null) return { status: 304, headers };
  const tags = await roleTags.header(caller.account, aip.role_tags);
  const body = toPublic(aip);
  const location = `/${pathPart(caller.account.login)}/aips/${body.id}`;
  return {
    status,
    body,
    headers: { ...headers, ...tags, ...(status === 201 ? { location } : {}) },
  };
}

const listAips: Verb = async ({ request, backend, caller, roleTags }) => {
  const { account } = caller;
  const input = readListInput(request.params);
  const [aips, { role_tags }] = await Promise.all([
    backend.list(account.uuid, input),
    backend.account(account.uuid),
  ]);
  return {
    status: 200,
    body: aips.map(toPublic),
    headers: {
      'x-query-limit': String(input.limit),
      'x-resource-count': String(aips.length),
      ...(await roleTags.header(account, role_tags)),
    },
  };
};

const getAip: Verb = async (work) => {
  const { request, backend, caller } = work;
  const id = aipId(request);
  const wait = readWait(request.params);
  return shown(work, await backend.get(caller.account.uuid, id, wait));
};

const createAip: Verb = async (work) => {
  const { request, backend, caller, roleTags } = work;
  const { input } = readAipInput('CreateAIP', request.params);
  if (input.private_ip !== undefined && input.instance === undefined) {
    throw missingArgument('instance');
  }
  const asked = readRoleTags({ 'role-tag': request.headers['role-tag'] });
  // A sub-user could not see what it has made without a tag of its own.
  const role_tags = asked
    ? await roleTags.uuids(caller.account, asked)
    : caller.roles;
  const whole = role_tags.length > 0 ? { ...input, role_tags } : input;
  const made = await backend.create(caller.account.uuid, whole);
  return shown(work, made, 201);
};

const updateAip: Verb = async (work) => {
  const { request, backend, caller, roleTags } = work;
  const id = aipId(request);
  const { input, roleTags: names } = readAipInput('UpdateAIP', request.params);
  const role_tags = names && (await roleTags.uuids(caller.account, names));
  const whole = { ...input, ...(role_tags ? { role_tags } : {}) };
  const changed = await backend.update(caller.account.uuid, id, whole);
  if (names === undefined || Object.keys(input).length > 0) {
    return shown(work, changed);
  }
  const name = `/${caller.account.login}/aips/${id}`;
  return { status: 200, body: { name, 'role-tag': names } };
};

const setCollectionTags: Verb = async ({ request, ...work }) => {
  const { account } = work.caller;
  const names = readRoleTags(request.params);
  if (names === undefined) throw missingArgument('role-tag');
  const uuids = await work.roleTags.uuids(account, names);
  await work.backend.setRoleTags(account.uuid, uuids);
  const name = `/${account.login}/aips`;
  return { status: 200, body: { name, 'role-tag': names } };
};

const detachAip: Verb = async ({ request, backend, caller }) => {
  const id = aipId(request);
  requireDetach(request.params);
  await backend.detach(caller.account.uuid, id);
  return { status: 204 };
};

const deleteAip: Verb = async ({ request, backend, caller }) => {
  const id = aipId(request);
  const really = readReally(request.params);
  await backend.remove(caller.account.uuid, id, really);
  return { status: 204 };
};

const listAudit: Verb = async ({ request, backend, caller }) => {
  const entries = await backend.audit(caller.account.uuid, aipId(request));
  return {
    status: 200,
    body: entries,
    headers: { 'x-resource-count': String(entries.length) },
  };
};

const getLimits: Verb = async ({ backend, caller }) => {
  const { used, quota } = await backend.account(caller.account.uuid);
  const value = quota === null ? {} : { value: quota };
  return { status: 200, body: [{ by: 'aips', used, ...value }] };
};

const VERBS: Record<Exclude<OperationName, 'Ping'>, Verb> = {
  ListAIPs: listAips,
  CreateAIP: createAip,
  ReplaceResourceCollectionRoleTags: setCollectionTags,
  GetAIPLimits: getLimits,
  GetAIP: getAip,
  UpdateAIP: updateAip,
  DetachAIP: detachAip,
  DeleteAIP: deleteAip,
  ListAIPAudit: listAudit,
};

/** The routes of `/:login/aips`. */
export function aipRoutes({ backendFor, roleTags }: AipServices): Route[] {
  return Object.entries(VERBS).map(([name, verb]) => {
    const { method, path } = operations[name as OperationName];
    return {
      method: method === 'GET' ? ['GET', 'HEAD'] : [method],
      path,
      name: actionOf(name),
      async handler(request: Request): Promise<Reply> {
        const caller = request.context['caller'] as Caller;
        requireObject(request.body);
        const backend = backendFor(request);
        try {
          return await verb({ request, backend, caller, roleTags });
        } catch (error) {
          throw explained(request, error);
        }
      },
    };
  });
}

/** What the customer is told; the cause of our own trouble is logged. */
export function explained(request: Request, error: unknown): unknown {
  const told = toPublicError(error);
  if (told instanceof ServiceError && told.status >= 500) {
    request.log.warn({ err: error }, 'napi-nat could not do it');
  }
  return told;
}
