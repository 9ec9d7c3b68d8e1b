// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A datacenter's APIs in one process, with the shapes, codes and manners of
 * the real ones (facts: svp-portolan-vxlnat 6.6, 7). State is plain data that
 * a test may look at and change; `failNext` breaks one call.
 */

import { randomUUID } from 'node:crypto';
import type { Test } from 'tape';
import { notFound, ServiceError } from '#lib/errors.js';
import { createHttpServer } from '#lib/http/server.js';
import type { Handler, Method, Reply, Route } from '#lib/http/types.js';
import { silentLogger } from '#lib/service/log.js';

type Item = Record<string, unknown> & { uuid: string };

/** Names, numbers and UUIDs of the example. */
export const ADMIN = '930896af-bf8c-48d4-885c-6573a94b1853';
export const UNDERLAY = 'aaaaaaaa-0000-4000-8000-000000000001';
export const EXTERNAL = 'aaaaaaaa-0000-4000-8000-000000000002';
export const IMAGE_1 = 'bbbbbbbb-0000-4000-8000-000000000001';
export const IMAGE_2 = 'bbbbbbbb-0000-4000-8000-000000000002';

function server(n: number, change: Partial<Item> = {}): Item {
  const uuid = `cccccccc-0000-4000-8000-00000000000${n}`;
  return {
    uuid,
    hostname: `CN-${'ABCDE'[n - 1]}`,
    status: 'running',
    setup: true,
    headnode: false,
    reserved: false,
    traits: {},
    datacenter: 'coal',
    sysinfo: {
      UUID: uuid,
      'Network Interfaces': {
        ixgbe0: { 'NIC Names': ['admin', 'sdc_underlay'], 'Link Status': 'up' },
        ixgbe1: { 'NIC Names': ['external'], 'Link Status': 'up' },
      },
    },
    ...change,
  };
}

function image(uuid: string, version: string, day: number): Item {
  return {
    uuid,
    name: 'vxlnat',
    version,
    state: 'active',
    published_at: `2026-11-0${day}T00:00:00Z`,
  };
}

/** What NAPI's and SAPI's create answer: the object. */
function ok(body: unknown): Reply {
  return { status: 200, body };
}

export class Datacenter {
  mode = 'full';
  application: Item = {
    uuid: 'dddddddd-0000-4000-8000-000000000001',
    name: 'sdc',
    owner_uuid: ADMIN,
    params: {},
    metadata: {
      datacenter_name: 'coal',
      dns_domain: 'example.com',
      fabric_cfg: {
        sdc_underlay_tag: 'sdc_underlay',
        sdc_underlay_pool: UNDERLAY,
        sdc_nat_pool: EXTERNAL,
      },
    },
  };
  services: Item[] = [];
  manifests: Item[] = [];
  instances: Item[] = [];
  vms: Item[] = [];
  servers: Item[] = [
    server(1),
    server(2),
    server(3),
    server(4, { setup: false }),
    server(5, { status: 'unknown' }),
  ];
  packages: Item[] = [
    { uuid: 'eeeeeeee-0000-4000-8000-000000000001', name: 'sdc_2048' },
  ];
  images: Item[] = [];
  updates: Item[] = [image(IMAGE_1, '1.0.0', 1), image(IMAGE_2, '1.1.0', 2)];
  networks: Item[] = [
    { uuid: EXTERNAL, name: 'external', nic_tag: 'external' },
  ];
  pools: Item[] = [
    { uuid: UNDERLAY, name: 'underlay', nic_tag: 'sdc_underlay', networks: [] },
  ];
  zones: Item[] = [];
  jobs: Item[] = [];
  /** Bodies of writes, in order, as `POST /instances`. */
  readonly writes: { call: string; body: unknown }[] = [];
  readonly #broken = new Map<string, number>();
  readonly #lost = new Map<string, number>();
  #lastOctet = 5;
  url = '';

  /** An operator who has run `sdcadm post-setup fabrics`. */
  withFabrics(): this {
    this.services.push({
      uuid: randomUUID(),
      name: 'portolan',
      application_uuid: this.application.uuid,
      params: {},
      metadata: {},
    });
    return this;
  }

  /** The n-th next call of this method and path, `:uuid` and all, answers 500. */
  failNext(method: Method, path: string, n = 1): void {
    this.#broken.set(`${method} ${path}`, n);
  }

  /** As `failNext`, after it was done: whoever called cannot know. */
  loseNext(method: Method, path: string, n = 1): void {
    this.#lost.set(`${method} ${path}`, n);
  }

  /** Whether this is the call that was meant. */
  #due(calls: Map<string, number>, call: string): boolean {
    const left = calls.get(call);
    if (left === undefined) return false;
    calls.set(call, left - 1);
    if (left > 1) return false;
    return calls.delete(call);
  }

  async start(t: Test): Promise<this> {
    const http = createHttpServer({
      name: 'triton',
      log: silentLogger(),
      precedence: ['route', 'query', 'body'],
      versions: ['1.0.0'],
      maxBodyBytes: 1_000_000,
    });
    http.add(this.#routes());
    const { port } = await http.listen('127.0.0.1', 0);
    this.url = `http://127.0.0.1:${port}`;
    t.teardown(() => http.close());
    return this;
  }

  #route(method: Method, path: string, handler: Handler): Route {
    const call = `${method} ${path}`;
    return {
      method,
      path,
      name: call.toLowerCase().replaceAll(/[^a-z]/g, ''),
      handler: async (request) => {
        const broken = () =>
          new ServiceError(500, {
            code: 'InternalError',
            message: 'broken by the test',
          });
        if (this.#due(this.#broken, call)) throw broken();
        if (method !== 'GET') this.writes.push({ call, body: request.body });
        const reply = await handler(request);
        if (this.#due(this.#lost, call)) throw broken();
        return reply;
      },
    };
  }

  #list(path: string, items: () => Item[], filters: string[]): Route {
    return this.#route('GET', path, ({ query }) =>
      ok(
        items().filter((item) =>
          filters.every(
            (name) => query[name] === undefined || item[name] === query[name],
          ),
        ),
      ),
    );
  }

  #one(path: string, items: () => Item[]): Route {
    return this.#route('GET', `${path}/:uuid`, ({ route }) => {
      const found = items().find(({ uuid }) => uuid === route['uuid']);
      if (found === undefined) throw notFound(`${path} not found`);
      return ok(found);
    });
  }

  #routes(): Route[] {
    return [
      ...this.#sapiRoutes(),
      this.#one('/vms', () => this.vms),
      this.#list('/servers', () => this.servers, ['hostname']),
      this.#list('/packages', () => this.packages, ['name']),
      ...this.#imageRoutes(),
      ...this.#napiRoutes(),
    ];
  }

  #sapiRoutes(): Route[] {
    return [
      this.#route('GET', '/mode', () => ok(this.mode)),
      this.#list('/applications', () => [this.application], ['name']),
      this.#list('/services', () => this.services, [
        'name',
        'application_uuid',
      ]),
      this.#list('/instances', () => this.instances, ['service_uuid']),
      this.#route('POST', '/services', ({ body }) => {
        const service = { uuid: randomUUID(), ...(body as object) };
        this.services.push(service);
        return ok(service);
      }),
      this.#route('PUT', '/services/:uuid', ({ route, body }) => {
        const found = this.services.find(({ uuid }) => uuid === route['uuid']);
        if (found === undefined) throw notFound('Service not found');
        return ok(Object.assign(found, body));
      }),
      this.#route('DELETE', '/services/:uuid', ({ route }) => {
        this.services = this.services.filter((s) => s.uuid !== route['uuid']);
        return { status: 204 };
      }),
      ...this.#manifestRoutes(),
      this.#route('POST', '/instances', ({ body }) => ok(this.#create(body))),
      this.#route('DELETE', '/instances/:uuid', ({ route }) => {
        const vm = this.vms.find(({ uuid }) => uuid === route['uuid']);
        if (vm !== undefined) vm['state'] = 'destroyed';
        this.instances = this.instances.filter((i) => i.uuid !== route['uuid']);
        return { status: 204 };
      }),
    ];
  }

  /** SAPI's manifests, and what a machine's agent is told. */
  #manifestRoutes(): Route[] {
    return [
      this.#list('/manifests', () => this.manifests, []),
      this.#route('POST', '/manifests', ({ body }) => {
        const manifest = { uuid: randomUUID(), ...(body as object) };
        this.manifests.push(manifest);
        return ok(manifest);
      }),
      this.#route('DELETE', '/manifests/:uuid', ({ route }) => {
        const left = this.manifests.filter((m) => m.uuid !== route['uuid']);
        if (left.length === this.manifests.length) throw notFound('manifest');
        this.manifests = left;
        return { status: 204 };
      }),
      this.#route('GET', '/configs/:uuid', ({ route }) => {
        const instance = this.instances.find((i) => i.uuid === route['uuid']);
        const service = this.services.find(
          ({ uuid }) => uuid === instance?.['service_uuid'],
        );
        if (service === undefined) throw notFound('config not found');
        const used = Object.values(service['manifests'] as object);
        return ok({
          manifests: this.manifests.filter(({ uuid }) => used.includes(uuid)),
          metadata: {
            ...(this.application['metadata'] as object),
            ...(service['metadata'] as object),
          },
        });
      }),
    ];
  }

  /** As SAPI does: the machine's parameters are the service's and these. */
  #create(body: unknown): Item {
    const uuid = randomUUID();
    const { params } = body as { params: Record<string, unknown> };
    const instance = { uuid, ...(body as object) } as Item;
    this.instances.push(instance);
    const last = ++this.#lastOctet;
    const nic = (nic_tag: string, ip: string) => ({
      mac: `90:b8:d0:00:00:${last.toString(16).padStart(2, '0')}`,
      ip,
      nic_tag,
    });
    this.vms.push({
      uuid,
      alias: params['alias'],
      state: 'running',
      server_uuid: params['server_uuid'],
      nics: [
        nic('admin', `10.99.99.${last}`),
        nic('sdc_underlay', `192.168.12.${last}`),
        nic('external', `3.3.3.${last}`),
      ],
    });
    return instance;
  }

  /** IMGAPI and the updates server, which tells itself apart by `channel`. */
  #imageRoutes(): Route[] {
    return [
      this.#list('/images', () => this.updates, ['name', 'version']),
      this.#route('GET', '/images/:uuid', ({ route, query }) => {
        const from =
          query['channel'] === undefined ? this.images : this.updates;
        const found = from.find(({ uuid }) => uuid === route['uuid']);
        if (found === undefined) throw notFound('image not found');
        return ok(found);
      }),
      this.#route('POST', '/images/:uuid', ({ route }) => {
        const found = this.updates.find(({ uuid }) => uuid === route['uuid']);
        if (found === undefined) throw notFound('image not found');
        this.images.push(found);
        return { status: 202, body: { job_uuid: randomUUID() } };
      }),
    ];
  }

  #napiRoutes(): Route[] {
    return [
      this.#one('/networks', () => this.networks),
      this.#one('/network_pools', () => this.pools),
      this.#route('GET', '/networks', ({ query }) => {
        const [limit, offset] = [query['limit'], query['offset']].map(Number);
        const found = this.networks.filter(
          ({ fabric, owner_uuid }) =>
            fabric === true && owner_uuid === query['owner_uuid'],
        );
        return ok(found.slice(offset, (offset ?? 0) + (limit ?? 0)));
      }),
      this.#route('PUT', '/networks/:uuid', ({ route }) => {
        const network = this.networks.find((n) => n.uuid === route['uuid']);
        if (network === undefined) throw notFound('network not found');
        const log = [{ at: '', step: 'allocate', message: 'zone chosen' }];
        const active = this.jobs.find(
          (job) =>
            job['network_uuid'] === network.uuid &&
            job['execution'] === 'running',
        );
        const job: Item = active ?? {
          uuid: randomUUID(),
          network_uuid: network.uuid,
          execution: 'running',
          log,
        };
        if (active === undefined) this.jobs.push(job);
        return ok({
          ...network,
          nat_reform_public: '',
          nat_reform_job: job.uuid,
        });
      }),
      this.#one('/jobs', () => this.jobs),
      this.#list('/nat_zones', () => this.zones, []),
      this.#one('/nat_zones', () => this.zones),
      this.#route('POST', '/nat_zones', ({ body }) => {
        const zone = { state: 'new', ...(body as object) } as unknown as Item;
        this.zones.push(zone);
        return ok(zone);
      }),
      this.#route('DELETE', '/nat_zones/:uuid', ({ route }) => {
        this.zones = this.zones.filter(({ uuid }) => uuid !== route['uuid']);
        return { status: 204 };
      }),
    ];
  }
}
