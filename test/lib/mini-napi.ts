// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What zones see of napi-nat, small: the real changefeed publisher, HTTP
 * server and SVP server over a journal and a data plane in memory.
 */

import { createPublisher, type Publisher } from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { createHttpServer } from '#lib/http/server.js';
import type { HttpServer, Route } from '#lib/http/types.js';
import type {
  Dataplane,
  FabricRule,
  Heartbeat,
  NatZone,
  OneToOne,
} from '#lib/model/dataplane.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { formatIpv4, type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import type { LogRecord } from '#lib/svp/messages.js';
import { createSvpServer, type SvpServer } from '#lib/svp/server.js';
import { type MemoryJournal, memoryJournal } from './memory-journal.js';

const log = silentLogger();
const clock = systemClock();

const SUB_RESOURCES: Record<string, string[]> = {
  network: [
    'create',
    'delete',
    'gateway',
    'resolvers',
    'routes',
    'nat_reform_public',
  ],
  aip: ['create', 'delete', 'assign', 'detach', 'update'],
  nat_public: ['create', 'delete', 'zone'],
  nat_zone: ['create', 'delete', 'state'],
  ul3_mapping: ['put', 'delete'],
};

/** Of a zone, as the address plan has it. */
export interface ZonePlan {
  uuid: string;
  ul3: string;
  external: string;
}

/** The control plane as zones see it. */
export class MiniNapi {
  readonly journal: MemoryJournal = memoryJournal();
  readonly beats: Heartbeat[] = [];
  readonly mappings = new Map<string, { mac: Mac; ip: Ipv4; port: number }>();
  shootdowns: LogRecord[] = [];
  readonly #state: Omit<Dataplane, 'position' | 'digest'> = {
    fabrics: [],
    one_to_ones: [],
    publics: [],
    zones: [],
  };
  #http: HttpServer | null = null;
  #publisher: Publisher | null = null;
  #svp: SvpServer | null = null;
  port = 0;
  svpPort = 0;

  async start(port = 0, svpPort = 0, host = '127.0.0.1'): Promise<void> {
    const publisher = createPublisher({
      journal: this.journal,
      resources: Object.entries(SUB_RESOURCES).map(([resource, subs]) => ({
        resource,
        bootstrapRoute: `/${resource}s`,
        subResources: subs,
      })),
      log,
      clock,
      limits: { heartbeatMs: 50 },
    });
    const http = createHttpServer({
      name: 'napi',
      log,
      precedence: ['route', 'query', 'body'],
      versions: ['1.0.0'],
      maxBodyBytes: 100_000,
    });
    http.add([...publisher.routes(), ...this.#routes()]);
    http.onUpgrade((request, socket, head) =>
      publisher.handleUpgrade(request, socket, head),
    );
    this.#http = http;
    this.#publisher = publisher;
    this.port = (await http.listen(host, port)).port;
    this.#svp = createSvpServer({
      log,
      backend: {
        vl2: async () => null,
        vl3: async (vnet, ip) =>
          this.mappings.get(`${vnet},${formatIpv4(ip)}`) ?? null,
        logRequest: async () => this.shootdowns,
        logRemove: async (ids) => {
          this.shootdowns = this.shootdowns.filter((r) => !ids.includes(r.id));
        },
      },
    });
    this.svpPort = (await this.#svp.listen(host, svpPort)).port;
  }

  async stop(): Promise<void> {
    await this.#publisher?.stop();
    await this.#http?.close();
    await this.#svp?.close();
    this.#publisher = null;
    this.#http = null;
    this.#svp = null;
  }

  dataplane(): Dataplane {
    const { fabrics, one_to_ones } = this.#state;
    return {
      ...this.#state,
      position: this.journal.position(),
      digest: rulesDigest(fabrics, one_to_ones),
    };
  }

  fabric(vnet: number, third: number, publicIp: string): FabricRule {
    const rule: FabricRule = {
      network_uuid: `net-${vnet}-${third}`,
      owner_uuid: 'owner',
      vnet_id: vnet,
      vlan_id: 0,
      subnet: `10.0.${third}.0/24`,
      gateway: `10.0.${third}.1`,
      router_mac: '90:b8:d0:00:00:01',
      nat_reform_public: publicIp,
    };
    this.#put('fabrics', 'network_uuid', rule);
    this.#event('network', 'create', rule.network_uuid, rule);
    return rule;
  }

  /** With its AIPs, which napi-nat would have asked to detach first. */
  removeFabric(vnet: number, third: number): void {
    const inside = this.#state.one_to_ones.filter(
      (entry) =>
        entry.vnet_id === vnet && entry.private_ip.startsWith(`10.0.${third}.`),
    );
    for (const entry of inside) this.detach(entry.aip_uuid);
    const id = `net-${vnet}-${third}`;
    this.#state.fabrics = this.#state.fabrics.filter(
      (fabric) => fabric.network_uuid !== id,
    );
    this.#event('network', 'delete', id, null);
  }

  aip(id: string, vnet: number, privateIp: string, publicIp: string): void {
    const entry: OneToOne = {
      aip_uuid: id,
      vnet_id: vnet,
      vlan_id: 0,
      private_ip: privateIp,
      public_ip: publicIp,
    };
    this.#put('one_to_ones', 'aip_uuid', entry);
    this.#event('aip', 'assign', id, entry);
  }

  detach(id: string): void {
    this.#state.one_to_ones = this.#state.one_to_ones.filter(
      (entry) => entry.aip_uuid !== id,
    );
    this.#event('aip', 'detach', id, null);
  }

  place(ip: string, zone: string | null): void {
    const address = {
      ip,
      kind: 'snat' as const,
      zone_uuid: zone,
      owner_uuid: null,
      network_uuid: 'public',
    };
    this.#put('publics', 'ip', address);
    this.#event('nat_public', 'zone', ip, address);
  }

  zone(zone: ZonePlan, servedBy: string | null = null): void {
    const object: NatZone = {
      uuid: zone.uuid,
      ul3_ip: zone.ul3,
      ul3_port: 4789,
      external_ip: zone.external,
      server_uuid: null,
      state: 'up',
      standby: false,
      weight: 1,
      ul3_served_by: servedBy,
    };
    this.#put('zones', 'uuid', object);
    this.#event('nat_zone', 'state', zone.uuid, object);
  }

  /** A change that a listener never hears of: what a lost event would be. */
  silently(change: (state: Omit<Dataplane, 'position' | 'digest'>) => void) {
    change(this.#state);
  }

  mapping(vnet: number, ip: string, ul3: string | null): void {
    const key = `${vnet},${ip}`;
    const mac = '90:b8:d0:00:00:99';
    if (ul3 === null) this.mappings.delete(key);
    else {
      this.mappings.set(key, {
        mac: parseMac(mac) as Mac,
        ip: parseIpv4(ul3) as Ipv4,
        port: 4789,
      });
    }
    const object =
      ul3 === null
        ? null
        : {
            vnet_id: vnet,
            ip,
            mac,
            cn_uuid: 'cn',
            ul3_ip: ul3,
            ul3_port: 4789,
          };
    this.#event('ul3_mapping', ul3 === null ? 'delete' : 'put', key, object);
  }

  #put<K extends 'fabrics' | 'one_to_ones' | 'publics' | 'zones'>(
    table: K,
    key: keyof Dataplane[K][number],
    object: Dataplane[K][number],
  ): void {
    const rows = this.#state[table] as Dataplane[K][number][];
    const others = rows.filter((row) => row[key] !== object[key]);
    (this.#state[table] as Dataplane[K][number][]) = [...others, object];
  }

  #event(resource: string, sub: string, id: string, object: object | null) {
    this.journal.commit({ resource, subResources: [sub], id, object });
  }

  #routes(): Route[] {
    return [
      {
        method: 'GET',
        path: '/dataplane',
        name: 'getdataplane',
        handler: () => ({ status: 200, body: this.dataplane() }),
      },
      {
        method: 'POST',
        path: '/nat_zones/:uuid/heartbeat',
        name: 'heartbeat',
        handler: (request) => {
          this.beats.push(request.body as Heartbeat);
          return {
            status: 200,
            body: {
              state: 'up',
              position: this.journal.position(),
              interval_ms: 20,
            },
          };
        },
      },
    ];
  }
}
