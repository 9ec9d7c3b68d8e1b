// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The calls to Triton's APIs, one object an API. Each answers with the body;
 * refusals become sdcadm's `<api> client error (CODE): message`.
 */

import { ServiceError } from '#lib/errors.js';
import { type CallOptions, HttpClient } from '#lib/http/client.js';
import { clientError } from './errors.js';
import type {
  Application,
  Image,
  Job,
  NatZone,
  Network,
  Package,
  SapiInstance,
  SapiManifest,
  SapiService,
  Server,
  Vm,
} from './triton.js';

export const API_NAMES = [
  'sapi',
  'vmapi',
  'cnapi',
  'papi',
  'imgapi',
  'napi',
  'updates',
] as const;
export type ApiName = (typeof API_NAMES)[number];

/** SAPI waits for the VMAPI job of a new instance. */
const TIMEOUT_MS = 3_600_000;

/** The most that NAPI lists at once. */
const PAGE = 1000;

type Verb = 'get' | 'post' | 'put' | 'del';

/** One API. */
class Api {
  readonly #name: ApiName;
  readonly #http: HttpClient;

  constructor(name: ApiName, url: string) {
    this.#name = name;
    this.#http = new HttpClient({ url, timeoutMs: TIMEOUT_MS });
  }

  async call<T>(verb: Verb, path: string, call: CallOptions = {}): Promise<T> {
    try {
      return (await this.#http[verb]<T>(path, call)).body;
    } catch (error) {
      throw clientError(this.#name, error);
    }
  }

  /** As `call` with GET; null where the API answers 404. */
  async find<T>(path: string): Promise<T | null> {
    try {
      return (await this.#http.get<T>(path)).body;
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return null;
      throw clientError(this.#name, error);
    }
  }

  /** DELETE; what is not there is as good. */
  async forget(path: string): Promise<void> {
    try {
      await this.#http.del<void>(path);
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return;
      throw clientError(this.#name, error);
    }
  }

  close(): void {
    this.#http.close();
  }
}

export type Clients = ReturnType<typeof createClients>;

/** NAPI's calls, and those that napi-nat adds to them. */
function napiCalls(napi: Api) {
  return {
    network: (uuid: string) => napi.find<Network>(`/networks/${uuid}`),
    pool: (uuid: string) => napi.find<Network>(`/network_pools/${uuid}`),
    fabricNetworks: async (owner_uuid: string) => {
      const all: Network[] = [];
      for (;;) {
        const page = await napi.call<Network[]>('get', '/networks', {
          query: {
            ...{ fabric: true, owner_uuid },
            ...{ limit: PAGE, offset: all.length },
          },
        });
        all.push(...page);
        if (page.length < PAGE) return all;
      }
    },
    zones: () => napi.call<NatZone[]>('get', '/nat_zones'),
    zone: (uuid: string) => napi.find<NatZone>(`/nat_zones/${uuid}`),
    registerZone: (body: object) =>
      napi.call<NatZone>('post', '/nat_zones', { body }),
    changeZone: (uuid: string, body: object) =>
      napi.call<NatZone>('put', `/nat_zones/${uuid}`, { body }),
    deleteZone: (uuid: string) => napi.call<void>('del', `/nat_zones/${uuid}`),
    convert: (uuid: string) =>
      napi.call<Network>('put', `/networks/${uuid}`, {
        body: { nat_reform_public: '' },
      }),
    job: (uuid: string) => napi.call<Job>('get', `/jobs/${uuid}`),
  };
}

/** @param urls of each API's root */
export function createClients(urls: Record<ApiName, string>) {
  const apis = Object.fromEntries(
    API_NAMES.map((name) => [name, new Api(name, urls[name])]),
  ) as Record<ApiName, Api>;
  const { sapi, vmapi, cnapi, papi, imgapi, napi, updates } = apis;
  return {
    sapi: {
      mode: () => sapi.call<string>('get', '/mode'),
      applications: (query: { name: string }) =>
        sapi.call<Application[]>('get', '/applications', { query }),
      services: (query: { name: string; application_uuid: string }) =>
        sapi.call<SapiService[]>('get', '/services', { query }),
      createService: (body: object) =>
        sapi.call<SapiService>('post', '/services', { body }),
      updateService: (uuid: string, body: object) =>
        sapi.call<SapiService>('put', `/services/${uuid}`, { body }),
      deleteService: (uuid: string) =>
        sapi.call<void>('del', `/services/${uuid}`),
      manifests: () => sapi.call<SapiManifest[]>('get', '/manifests'),
      createManifest: (body: object) =>
        sapi.call<SapiManifest>('post', '/manifests', { body }),
      /** Also when it is gone already. */
      deleteManifest: (uuid: string) => sapi.forget(`/manifests/${uuid}`),
      instances: (query: { service_uuid: string }) =>
        sapi.call<SapiInstance[]>('get', '/instances', { query }),
      createInstance: (body: object) =>
        sapi.call<SapiInstance>('post', '/instances', { body }),
      deleteInstance: (uuid: string) =>
        sapi.call<void>('del', `/instances/${uuid}`),
    },
    vmapi: {
      vm: (uuid: string) => vmapi.find<Vm>(`/vms/${uuid}`),
    },
    cnapi: {
      servers: () =>
        cnapi.call<Server[]>('get', '/servers', {
          query: { extras: 'sysinfo' },
        }),
    },
    papi: {
      packages: (name: string) =>
        papi.call<Package[]>('get', '/packages', {
          query: { name, active: true },
        }),
    },
    imgapi: {
      image: (uuid: string) => imgapi.find<Image>(`/images/${uuid}`),
      /** Returns before the image is there. */
      importRemote: (uuid: string, source: string) =>
        imgapi.call<void>('post', `/images/${uuid}`, {
          query: { action: 'import-remote', source, skip_owner_check: true },
        }),
    },
    updates: {
      images: (query: { name: string; channel: string; version?: string }) =>
        updates.call<Image[]>('get', '/images', { query }),
      image: (uuid: string, channel: string) =>
        updates.find<Image>(`/images/${uuid}?channel=${channel}`),
    },
    napi: napiCalls(napi),
    urls,
    close(): void {
      for (const api of Object.values(apis)) api.close();
    },
  };
}
