// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A running napi-nat with RFD 158's example networks, spoken to over HTTP, and
 * NAT zones that are nothing but a reflector of probes and a heartbeat.
 */

import { createSocket, type Socket } from 'node:dgram';
import type { Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import type { Route } from '#lib/http/types.js';
import type { Dataplane } from '#lib/model/dataplane.js';
import { silentLogger } from '#lib/service/log.js';
import type { Store } from '#lib/store/types.js';
import { createApp } from '../../services/napi-nat/app.js';
import type {
  InitialNetwork,
  NapiConfig,
} from '../../services/napi-nat/config.js';
import { openStore } from '../../services/napi-nat/store/open.js';
import { napiConfig } from './napi-config.js';
import { temporaryDirectory } from './tmp.js';
import { until } from './until.js';

export const ADMIN = '00000000-0000-4000-8000-0000000000ad';
export const PUBLIC_NETWORK = '00000000-0000-4000-8000-0000000000b0';

/** A UUID that tests can read: kind and number. */
export function uuidOf(kind: number, n: number): string {
  const tail = n.toString(16).padStart(12, '0');
  return `${String(kind).padStart(8, '0')}-0000-4000-8000-${tail}`;
}

export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

/** How a napi-nat is asked. */
export interface NatApi {
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>;
  /** As `call`, for requests that must succeed. */
  must<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
  ): Promise<T>;
}

export interface NatWorld extends NatApi {
  url: string;
  /** Where SVP is served. */
  svp: { host: string; port: number };
  stop(): Promise<void>;
}

/** One in this process, whose inside can be looked at. */
export interface OpenWorld extends NatWorld {
  store: Store;
  routes: readonly Route[];
}

export interface WorldOptions {
  sharing?: 'shared' | 'per-owner';
  placement?: 'spread' | 'standby';
  max_fabrics_per_public?: number;
  on_join?: 'keep' | 'rebalance';
  pins?: Record<string, string[]>;
  /** Last address of the public pool 3.3.3.2 - ...; a /24. */
  pool_end?: string;
  probe_ms?: number;
  heartbeat_ms?: number;
  aip_quota?: number;
  /** Whether new fabric networks join NAT Reform; they do unless told. */
  nat_reform?: boolean;
  /** Where old NAT zones are deleted. */
  sapi?: string;
  /** A store that is there already; one of the world's own unless told. */
  directory?: string;
  /** Parts of the configuration that are to be otherwise. */
  config?: Partial<NapiConfig>;
}

/** The configuration of a world, on a store's directory. */
export function worldConfig(
  directory: string,
  options: WorldOptions = {},
): NapiConfig {
  const { sharing = 'per-owner', placement = 'spread' } = options;
  const { max_fabrics_per_public: most, on_join, pins } = options;
  const { aip_quota: quota } = options;
  const base = napiConfig('', options.pool_end ?? '3.3.3.250');
  const { external } = base.initial_networks as { external: InitialNetwork };
  return {
    ...base,
    store: { directory },
    admin_uuid: ADMIN,
    overlay: { ...base.overlay, vnet_ids: 'random' },
    initial_networks: {
      external: { ...external, uuid: PUBLIC_NETWORK, gateway: '3.3.3.1' },
    },
    nat_reform: {
      default: options.nat_reform ?? true,
      policy: {
        sharing,
        placement,
        ...(most === undefined ? {} : { max_fabrics_per_public: most }),
        ...(on_join === undefined ? {} : { on_join }),
        ...(pins === undefined ? {} : { pins }),
      },
      ...(quota === undefined ? {} : { aip_quota: quota }),
      public_network: PUBLIC_NETWORK,
      probe: {
        vnet: 16777215,
        interval_ms: options.probe_ms ?? 50,
        misses: 3,
        bind: '127.0.0.1',
      },
      heartbeat: { interval_ms: options.heartbeat_ms ?? 50, misses: 5 },
      ...(options.sapi === undefined ? {} : { sapi: { url: options.sapi } }),
    },
    log_level: 'fatal',
    ...options.config,
  };
}

/** Starts napi-nat on a store of its own; ends with the test. */
export async function startWorld(
  t: Test,
  options: WorldOptions = {},
): Promise<OpenWorld> {
  const directory = options.directory ?? temporaryDirectory(t);
  let store: Store | undefined;
  const app = createApp(worldConfig(directory, options), {
    clock: systemClock(),
    log: silentLogger(),
    async openStore(...asked) {
      store = await openStore(...asked);
      return store;
    },
  });
  const { http, svp } = await app.start();
  const url = `http://127.0.0.1:${http.port}`;
  const world: OpenWorld = {
    url,
    svp,
    ...talk(url),
    store: store as unknown as Store,
    routes: app.routes(),
    stop: () => app.stop(),
  };
  t.teardown(() => world.stop());
  return world;
}

/** How a napi-nat is spoken to. */
export function talk(url: string): NatApi {
  const call: NatApi['call'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text === '' ? undefined : JSON.parse(text),
      headers: response.headers,
    };
  };
  return {
    call,
    async must(method, path, body) {
      const answer = await call(method, path, body);
      if (answer.status < 300) return answer.body as never;
      const said = JSON.stringify(answer.body);
      throw new Error(`${method} ${path}: ${answer.status} ${said}`);
    },
  };
}

/** A fabric network of an owner; its gateway is .1. */
export async function addFabric(
  world: NatApi,
  owner: string,
  vlan: number,
  subnet: string,
): Promise<Record<string, unknown> & { uuid: string; vnet_id: number }> {
  const base = `/fabrics/${owner}/vlans`;
  const known = await world.call('GET', `${base}/${vlan}`);
  if (known.status === 404) {
    await world.must('POST', base, { vlan_id: vlan, name: `v${vlan}` });
  }
  const prefix = (subnet.split('/')[0] as string).replace(/\.\d+$/, '');
  return world.must('POST', `${base}/${vlan}/networks`, {
    name: `net-${subnet}`,
    subnet,
    provision_start_ip: `${prefix}.2`,
    provision_end_ip: `${prefix}.250`,
    gateway: `${prefix}.1`,
    internet_nat: true,
  });
}

/** A NIC of an instance. */
export async function addNic(
  world: NatApi,
  nic: {
    owner: string;
    instance: string;
    network: string;
    ip?: string;
    primary?: boolean;
    cn?: string;
  },
): Promise<{ mac: string; ip: string }> {
  return world.must('POST', '/nics', {
    owner_uuid: nic.owner,
    belongs_to_uuid: nic.instance,
    belongs_to_type: 'zone',
    network_uuid: nic.network,
    cn_uuid: nic.cn ?? uuidOf(9, 1),
    ...(nic.ip === undefined ? {} : { ip: nic.ip }),
    ...(nic.primary === undefined ? {} : { primary: nic.primary }),
  });
}

/** A zone that answers probes and sends heartbeats until it is killed. */
export interface FakeZone {
  uuid: string;
  ip: string;
  port: number;
  kill(): void;
  /** Whether its heartbeats report none of the rules. */
  lag(on: boolean): void;
  revive(): Promise<void>;
}

function reflection(probe: Buffer): Buffer {
  const reply = Buffer.from(probe);
  for (const [a, b, length] of [
    [8, 14, 6],
    [34, 38, 4],
    [42, 44, 2],
    [54, 58, 4],
  ] as const) {
    probe.copy(reply, a, b, b + length);
    probe.copy(reply, b, a, a + length);
  }
  reply.writeUInt8((3 << 6) | ((probe[51] as number) & 0x3f), 51);
  return reply;
}

/**
 * Registers a zone whose UL3 is on the loopback network. All zones of a test
 * use one port, as VXLAN does.
 * @param at its UL3, such as 127.0.0.11
 */
export async function addZone(
  t: Test,
  world: NatWorld,
  n: number,
  at: { ip: string; port: number; standby?: boolean; cn?: string },
): Promise<FakeZone> {
  const uuid = uuidOf(7, n);
  let socket: Socket | null = null;
  let beating: NodeJS.Timeout | null = null;
  let progress = 0;
  let lags = false;
  const beat = async () => {
    const plane = await world.call<Dataplane>('GET', '/dataplane');
    progress += 1;
    const { position, digest } = lags
      ? { position: 0, digest: 'none' }
      : plane.body;
    const flows = 0;
    const body = { progress, position, digest, announced: [], flows };
    if (beating) await world.call('POST', `/nat_zones/${uuid}/heartbeat`, body);
  };
  const open = async () => {
    const opened = createSocket('udp4');
    opened.on('message', (packet, from) => {
      opened.send(reflection(packet), from.port, from.address);
    });
    await new Promise<void>((resolve, reject) => {
      opened.once('error', reject);
      opened.bind(at.port, at.ip, resolve);
    });
    at.port = opened.address().port;
    socket = opened;
    let beats = false;
    beating = setInterval(async () => {
      // Beats that pile up at a busy napi-nat make it busier.
      if (beats) return;
      beats = true;
      await beat().catch(() => {});
      beats = false;
    }, 50);
  };
  const kill = () => {
    if (beating) clearInterval(beating);
    beating = null;
    socket?.close();
    socket = null;
  };
  const lag = (on: boolean) => {
    lags = on;
  };
  await open();
  t.teardown(kill);
  await world.must('POST', '/nat_zones', {
    uuid,
    ul3_ip: at.ip,
    ul3_port: at.port,
    external_ip: `3.3.3.${250 + n}`,
    standby: at.standby ?? false,
    ...(at.cn === undefined ? {} : { server_uuid: at.cn }),
  });
  return { uuid, ip: at.ip, port: at.port, kill, lag, revive: open };
}

/** Waits for a zone's state. */
export async function zoneState(
  world: NatWorld,
  uuid: string,
  state: string,
): Promise<Record<string, unknown>> {
  return until(
    `zone ${uuid} to be ${state}`,
    () => world.must('GET', `/nat_zones/${uuid}`),
    (zone) => zone['state'] === state,
  );
}
