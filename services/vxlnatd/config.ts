// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd's configuration: the file's schema, its defaults, and what the
 * engine is made with. `docs/vxlnatd.md` describes every field.
 */

import { CLIENT_TLS_SCHEMA, type TlsFiles } from '#lib/http/tls.js';
import type { LogLevel } from '#lib/service/log.js';
import {
  BGP_SCHEMA,
  type BgpConfig,
  type BgpFile,
  completeBgp,
} from './announce/bgp-settings.js';
import type {
  EngineConfigDto,
  IoConfigDto,
  LimitsDto,
  TimersDto,
} from './engine.js';
import type { NatLogConfig } from './nat-log/nat-log.js';

/** How the external network learns which public IPs are here. */
export type Announce = 'arp' | 'bgp' | 'none';

/** The file as people write it; everything that has a default may be absent. */
export interface ConfigFile {
  zone_uuid?: string;
  napi?: { url: string; tls?: TlsFiles } | null;
  svp?: { host: string; port?: number } | null;
  underlay: { interface?: string | null; ip?: string; port?: number };
  external?: { interface?: string | null; ip?: string | null; vlan?: number };
  tun?: { name?: string; mtu?: number };
  io?: IoConfigDto['kind'];
  xdp?: { lanes?: number; pins?: string | null };
  announce?: Announce;
  bgp?: BgpFile | null;
  manage_os?: boolean;
  state_directory?: string | null;
  admin?: { host?: string; port?: number };
  engine?: Partial<Omit<EngineSettings, 'timers' | 'limits'>> & {
    timers?: Partial<TimersDto>;
    limits?: { host?: Partial<LimitWords>; vnet?: Partial<LimitWords> };
  };
  probe_vnet?: number;
  peer_port?: number | null;
  heartbeat?: { interval_ms?: number };
  resync_ms?: number;
  startup_grace_ms?: number;
  nat_log?: Partial<NatLogConfig> | null;
  log_level?: LogLevel;
}

/** At most so many; 0: any number. The words of the rules file. */
export interface LimitWords {
  flows: number;
  /** TCP flows that are not established. */
  opening: number;
  /** New flows a second. */
  rate: number;
}

/** Limits and manners of the engine. Times are milliseconds. */
export interface EngineSettings {
  max_flows: number;
  max_vnets: number;
  max_rules: number;
  max_one_to_ones: number;
  max_remotes: number;
  port_low: number;
  port_high: number;
  /** Inner MTU: what an underlay of 1500 takes, tag included (M1: 1446). */
  inner_mtu: number;
  rst_on_unknown: boolean;
  burst: number;
  /** 32 hex digits, or null for a random one at each start. */
  seed: string | null;
  timers: TimersDto;
  /** Of each host and each vnet of which no rule says anything else. */
  limits: { host: LimitWords; vnet: LimitWords };
}

/** The configuration with every default filled in. */
export interface Config {
  zone_uuid: string;
  napi: { url: string; tls?: TlsFiles } | null;
  svp: { host: string; port: number } | null;
  underlay: { interface: string | null; ip: string; port: number };
  external: { interface: string | null; ip: string | null; vlan: number };
  tun: { name: string; mtu: number };
  /** How packets are carried: one way that must work, or the best. */
  io: IoConfigDto['kind'];
  /** `pins`: where on a BPF file system the XDP program survives a restart. */
  xdp: { lanes: number; pins: string | null };
  announce: Announce;
  /** Null unless `announce` is `bgp`. */
  bgp: BgpConfig | null;
  manage_os: boolean;
  state_directory: string | null;
  admin: { host: string; port: number };
  engine: EngineSettings;
  probe_vnet: number;
  /** UDP port on the underlay where zones ask each other; null: they do not. */
  peer_port: number | null;
  heartbeat: { interval_ms: number };
  /** Full comparison with the control plane and the kernel this often. */
  resync_ms: number;
  /** How long a start waits for the control plane before it announces. */
  startup_grace_ms: number;
  /** Where sessions are logged; null for nowhere. */
  nat_log: NatLogConfig | null;
  log_level: LogLevel;
}

/** Idle timers: RFC 5382, 4787, 5508 and 7857 minimums or above. */
export const DEFAULT_TIMERS: TimersDto = {
  tcp_established: 7_440_000,
  tcp_opening: 240_000,
  tcp_closing: 240_000,
  udp: 300_000,
  icmp: 60_000,
  fragment: 2_000,
  quarantine: 60_000,
};

/** The zone of a daemon that no control plane knows. */
export const STANDALONE_ZONE = '00000000-0000-0000-0000-000000000000';

const IPV4 = '^(\\d{1,3}\\.){3}\\d{1,3}$';
const UUID = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
const DEVICE = '^[A-Za-z0-9_.-]{1,15}$';
const ip = { type: 'string', pattern: IPV4 };
const device = { type: ['string', 'null'], pattern: DEVICE };
const port = { type: 'integer', minimum: 0, maximum: 65535 };
const remotePort = { type: 'integer', minimum: 1, maximum: 65535 };
const milliseconds = { type: 'integer', minimum: 1, maximum: 864_000_000 };
const host = { type: 'string', minLength: 1, maxLength: 255 };

function object(
  properties: Record<string, object>,
  required: string[] = [],
): Record<string, unknown> {
  return { type: 'object', properties, required, additionalProperties: false };
}

const timers = object(
  Object.fromEntries(
    Object.keys(DEFAULT_TIMERS).map((name) => [name, milliseconds]),
  ),
);

const room = { type: 'integer', minimum: 1, maximum: 1 << 24 };
const count = { type: 'integer', minimum: 0, maximum: 1 << 27 };
const limits = object({ flows: count, opening: count, rate: count });

/** JSON schema of `ConfigFile`; unknown keys are refused. */
export const CONFIG_SCHEMA: Record<string, unknown> = object(
  {
    zone_uuid: { type: 'string', pattern: UUID },
    napi: {
      ...object(
        {
          url: { type: 'string', pattern: '^https?://' },
          tls: CLIENT_TLS_SCHEMA,
        },
        ['url'],
      ),
      type: ['object', 'null'],
    },
    svp: {
      ...object({ host, port: remotePort }, ['host']),
      type: ['object', 'null'],
    },
    underlay: object({ interface: device, ip, port: remotePort }),
    external: object({
      interface: device,
      ip: { type: ['string', 'null'], pattern: IPV4 },
      vlan: { type: 'integer', minimum: 0, maximum: 4094 },
    }),
    tun: object({
      name: { type: 'string', pattern: DEVICE },
      mtu: { type: 'integer', minimum: 576, maximum: 65535 },
    }),
    io: { enum: ['auto', 'xdp', 'af_xdp', 'tun'] },
    xdp: object({
      lanes: { type: 'integer', minimum: 0, maximum: 64 },
      pins: { type: ['string', 'null'], pattern: '^/.+[^/]$' },
    }),
    announce: { enum: ['arp', 'bgp', 'none'] },
    bgp: BGP_SCHEMA,
    manage_os: { type: 'boolean' },
    state_directory: { type: ['string', 'null'], minLength: 1 },
    admin: object({ host, port }),
    engine: object({
      max_flows: { type: 'integer', minimum: 1, maximum: 1 << 26 },
      max_vnets: room,
      max_rules: room,
      max_one_to_ones: room,
      max_remotes: room,
      port_low: { type: 'integer', minimum: 1, maximum: 65535 },
      port_high: { type: 'integer', minimum: 1, maximum: 65535 },
      inner_mtu: { type: 'integer', minimum: 576, maximum: 8900 },
      rst_on_unknown: { type: 'boolean' },
      burst: { type: 'integer', minimum: 1, maximum: 256 },
      seed: { type: ['string', 'null'], pattern: '^[0-9a-f]{32}$' },
      timers,
      limits: object({ host: limits, vnet: limits }),
    }),
    probe_vnet: { type: 'integer', minimum: 0, maximum: 0xffffff },
    peer_port: { type: ['integer', 'null'], minimum: 1, maximum: 65535 },
    heartbeat: object({ interval_ms: milliseconds }),
    resync_ms: milliseconds,
    startup_grace_ms: { type: 'integer', minimum: 0, maximum: 60_000 },
    nat_log: {
      ...object({
        ipfix: {
          type: ['string', 'null'],
          pattern: '^(\\d{1,3}\\.){3}\\d{1,3}:\\d{1,5}$',
        },
        file: { type: ['string', 'null'], pattern: '^/.+[^/]$' },
        remotes: { type: 'boolean' },
      }),
      type: ['object', 'null'],
    },
    log_level: { enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] },
  },
  ['underlay'],
);

const NO_LIMITS: LimitWords = { flows: 0, opening: 0, rate: 0 };

/**
 * Fills in every default.
 * @param file a document that the schema has accepted
 */
export function completeConfig(file: ConfigFile): Config {
  return {
    zone_uuid: file.zone_uuid ?? STANDALONE_ZONE,
    napi: file.napi ?? null,
    svp: file.svp ? { port: 1296, ...file.svp } : null,
    underlay: {
      interface: file.underlay.interface ?? null,
      ip: file.underlay.ip ?? '0.0.0.0',
      port: file.underlay.port ?? 4789,
    },
    external: {
      interface: file.external?.interface ?? null,
      ip: file.external?.ip ?? null,
      vlan: file.external?.vlan ?? 0,
    },
    tun: { name: file.tun?.name ?? 'vxn0', mtu: file.tun?.mtu ?? 1500 },
    io: file.io ?? 'auto',
    xdp: {
      lanes: file.xdp?.lanes ?? 0,
      pins: file.xdp?.pins === undefined ? '/sys/fs/bpf/vxlnat' : file.xdp.pins,
    },
    announce: file.announce ?? (file.external?.interface ? 'arp' : 'none'),
    bgp: file.announce === 'bgp' && file.bgp ? completeBgp(file.bgp) : null,
    manage_os: file.manage_os ?? true,
    state_directory: file.state_directory ?? null,
    admin: { host: '127.0.0.1', port: 2960, ...file.admin },
    engine: {
      max_flows: 1 << 20,
      max_vnets: 16_384,
      max_rules: 32_768,
      max_one_to_ones: 65_536,
      max_remotes: 131_072,
      port_low: 1024,
      port_high: 65535,
      inner_mtu: 1446,
      rst_on_unknown: true,
      burst: 64,
      seed: null,
      ...file.engine,
      timers: { ...DEFAULT_TIMERS, ...file.engine?.timers },
      limits: {
        host: { ...NO_LIMITS, ...file.engine?.limits?.host },
        vnet: { ...NO_LIMITS, ...file.engine?.limits?.vnet },
      },
    },
    probe_vnet: file.probe_vnet ?? 0xffffff,
    peer_port: file.peer_port === undefined ? 1297 : file.peer_port,
    heartbeat: { interval_ms: file.heartbeat?.interval_ms ?? 200 },
    resync_ms: file.resync_ms ?? 60_000,
    startup_grace_ms: file.startup_grace_ms ?? 2000,
    nat_log: file.nat_log
      ? { ipfix: null, file: null, remotes: false, ...file.nat_log }
      : null,
    log_level: file.log_level ?? 'info',
  };
}

/**
 * What a schema cannot say.
 * @param withControlPlane whether rules come from napi-nat, not from a file
 * @returns `path: what is wrong` for each fault
 */
export function configFaults(
  config: Config,
  withControlPlane: boolean,
): string[] {
  const faults: string[] = [];
  if (withControlPlane) {
    if (config.napi === null) {
      faults.push('/napi: missing; give its url, or rules with -f FILE');
    }
    if (config.zone_uuid === STANDALONE_ZONE) {
      faults.push('/zone_uuid: missing; it is the zone that napi-nat knows');
    }
    if (config.underlay.ip === '0.0.0.0') {
      faults.push('/underlay/ip: missing; it is the UL3 of this zone');
    }
  } else if (config.napi !== null) {
    faults.push('/napi: cannot be used together with -f FILE');
  }
  if (config.napi !== null && !URL.canParse(config.napi.url)) {
    faults.push('/napi/url: is not a URL');
  }
  if (config.announce === 'arp' && config.external.interface === null) {
    faults.push('/external/interface: missing; announce "arp" answers on it');
  }
  if (config.announce === 'bgp' && config.bgp === null) {
    faults.push('/bgp: missing; announce "bgp" needs its neighbors');
  }
  if (config.nat_log?.ipfix === null && config.nat_log.file === null) {
    faults.push('/nat_log: give ipfix or file, or leave nat_log out');
  }
  if (config.engine.port_low > config.engine.port_high) {
    faults.push('/engine/port_low: above port_high');
  }
  return faults;
}

/**
 * What the engine is made with.
 * @param seed 32 hex digits, used unless the configuration fixes one
 */
export function engineConfig(config: Config, seed: string): EngineConfigDto {
  const { burst: _burst, seed: fixed, limits, ...settings } = config.engine;
  const limit = ({ rate, ...rest }: LimitWords): LimitsDto => ({
    ...rest,
    per_second: rate,
  });
  return {
    ...settings,
    host_limits: limit(limits.host),
    vnet_limits: limit(limits.vnet),
    vxlan_port: config.underlay.port,
    probe_vnet: config.probe_vnet,
    seed: fixed ?? seed,
  };
}

/** Where the XDP program of this zone outlives the daemon; null: nowhere. */
export function pinsOf(config: Config): string | null {
  return config.xdp.pins && `${config.xdp.pins}/${config.zone_uuid}`;
}

/** How the engine's packets enter and leave. */
export function ioConfig(config: Config): IoConfigDto {
  return {
    kind: config.io,
    underlay_interface: config.underlay.interface,
    external_interface: config.external.interface,
    external_vlan: config.external.vlan,
    tun_name: config.tun.name,
    tun_mtu: config.tun.mtu,
    burst: config.engine.burst,
    lanes: config.xdp.lanes,
    pins: pinsOf(config),
  };
}
