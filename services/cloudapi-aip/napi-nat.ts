// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The calls that this service makes to napi-nat: the internal twin of the AIP
 * API, always with the owner, so that another owner's AIP is 404 there.
 */

import type { CallOptions, HttpClient } from '#lib/http/client.js';
import type { Aip, AipState } from '#lib/model/aip.js';
import type { AipInput, ListInput } from './aips/input.js';

/** What goes with every call for one request. */
export interface CallContext {
  requestId: string;
  /** Headers that are passed on as the customer sent them. */
  headers: Record<string, string>;
  /** Longest wait for an answer, in milliseconds. */
  timeoutMs: number;
}

/** An AIP with its etag; null when the customer knows it as it is. */
export interface Tagged {
  aip: Aip | null;
  etag: string;
}

export type WriteInput = AipInput & { role_tags?: string[] };

/** An owner's use of AIPs. */
export interface AipAccount {
  used: number;
  quota: number | null;
  role_tags: string[];
}

/** napi-nat's AIP calls for one request of one owner. */
export interface AipBackend {
  list(owner: string, input: ListInput): Promise<Aip[]>;
  get(
    owner: string,
    uuid: string,
    wait?: { wait?: AipState; timeout?: number },
  ): Promise<Tagged>;
  create(owner: string, input: WriteInput): Promise<Tagged>;
  update(owner: string, uuid: string, input: WriteInput): Promise<Tagged>;
  detach(owner: string, uuid: string): Promise<void>;
  remove(owner: string, uuid: string, reallyDelete: boolean): Promise<void>;
  audit(owner: string, uuid: string): Promise<unknown[]>;
  account(owner: string): Promise<AipAccount>;
  setRoleTags(owner: string, role_tags: string[]): Promise<void>;
}

/** How long a GET waits when it does not say (napi-nat's own default). */
const WAIT_S = 30;

function listQuery(owner_uuid: string, input: ListInput): CallOptions {
  const { instance, tags, ...rest } = input;
  const named = Object.entries(tags).map(([name, v]) => [`tag.${name}`, v]);
  return {
    query: {
      owner_uuid,
      ...rest,
      belongs_to_uuid: instance,
      ...Object.fromEntries(named),
    },
  };
}

/**
 * Binds the calls to a client and one request.
 * Errors are ServiceError as napi-nat sent them.
 */
export function napiBackend(
  client: HttpClient,
  context: CallContext,
): AipBackend {
  const { requestId, headers, timeoutMs } = context;
  const options = { requestId, headers };
  const path = (uuid: string) => `/aips/${uuid}`;
  const tagged = (answer: {
    body: Aip | undefined;
    headers: Record<string, string>;
  }): Tagged => ({
    aip: answer.body ?? null,
    etag: answer.headers['etag'] ?? '',
  });
  return {
    list: async (owner, input) => {
      const query = listQuery(owner, input);
      return (await client.get<Aip[]>('/aips', { ...options, ...query })).body;
    },
    get: async (owner_uuid, uuid, { wait, timeout } = {}) => {
      const query = { owner_uuid, wait, timeout };
      const longest = wait === undefined ? 0 : (timeout ?? WAIT_S) * 1000;
      const call = { ...options, query, timeoutMs: timeoutMs + longest };
      return tagged(await client.get<Aip>(path(uuid), call));
    },
    create: async (owner_uuid, input) => {
      const body = { owner_uuid, ...input };
      return tagged(await client.post<Aip>('/aips', { ...options, body }));
    },
    update: async (owner_uuid, uuid, input) => {
      const body = { owner_uuid, ...input };
      return tagged(await client.put<Aip>(path(uuid), { ...options, body }));
    },
    detach: async (owner_uuid, uuid) => {
      const query = { owner_uuid, detach: 'true' };
      await client.post(path(uuid), { ...options, query });
    },
    remove: async (owner_uuid, uuid, reallyDelete) => {
      const query = { owner_uuid, really_delete: String(reallyDelete) };
      await client.del(path(uuid), { ...options, query });
    },
    audit: async (owner_uuid, uuid) => {
      const call = { ...options, query: { owner_uuid } };
      return (await client.get<unknown[]>(`${path(uuid)}/audit`, call)).body;
    },
    account: async (owner) => {
      const call = `/aip_accounts/${owner}`;
      return (await client.get<AipAccount>(call, { requestId })).body;
    },
    setRoleTags: async (owner, role_tags) => {
      const body = { role_tags };
      await client.put(`/aip_accounts/${owner}`, { requestId, body });
    },
  };
}
