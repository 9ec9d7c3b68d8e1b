// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The calls that this service makes to napi-nat: the internal twin of the AIP
 * API, always with the owner, so that another owner's AIP is 404 there.
 */

import type { HttpClient } from '#lib/http/client.js';
import type { Aip } from '#lib/model/aip.js';
import type { AipInput, ListInput } from './aips/input.js';

/** napi-nat's AIP calls for one request of one owner. */
export interface AipBackend {
  list(owner: string, input: ListInput): Promise<Aip[]>;
  get(owner: string, uuid: string): Promise<Aip>;
  create(owner: string, input: AipInput): Promise<Aip>;
  update(owner: string, uuid: string, input: AipInput): Promise<Aip>;
  detach(owner: string, uuid: string): Promise<void>;
  remove(owner: string, uuid: string, reallyDelete: boolean): Promise<void>;
}

/**
 * Binds the calls to a client and a request id, which napi-nat logs too.
 * Errors are ServiceError as napi-nat sent them.
 */
export function napiBackend(client: HttpClient, requestId: string): AipBackend {
  const options = { requestId };
  const path = (uuid: string) => `/aips/${uuid}`;
  return {
    list: async (owner_uuid, input) => {
      const query = {
        owner_uuid,
        limit: String(input.limit),
        offset: String(input.offset),
        ...(input.marker === undefined ? {} : { marker: input.marker }),
      };
      return (await client.get<Aip[]>('/aips', { ...options, query })).body;
    },
    get: async (owner_uuid, uuid) => {
      const query = { owner_uuid };
      return (await client.get<Aip>(path(uuid), { ...options, query })).body;
    },
    create: async (owner_uuid, input) => {
      const body = { owner_uuid, ...input };
      return (await client.post<Aip>('/aips', { ...options, body })).body;
    },
    update: async (owner_uuid, uuid, input) => {
      const body = { owner_uuid, ...input };
      return (await client.put<Aip>(path(uuid), { ...options, body })).body;
    },
    detach: async (owner_uuid, uuid) => {
      const query = { owner_uuid, detach: 'true' };
      await client.post(path(uuid), { ...options, query });
    },
    remove: async (owner_uuid, uuid, reallyDelete) => {
      const query = { owner_uuid, really_delete: String(reallyDelete) };
      await client.del(path(uuid), { ...options, query });
    },
  };
}
