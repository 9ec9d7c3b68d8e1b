// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd's command line: a configuration file, a rules file in the illumos
 * prototype's syntax, or both, and options that overlay the configuration.
 */

import type { ParseArgsConfig } from 'node:util';
import { UsageError } from '#lib/errors.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { loadConfig } from '#lib/service/config.js';
import {
  CONFIG_SCHEMA,
  type Config,
  type ConfigFile,
  completeConfig,
  configFaults,
  DEFAULT_TIMERS,
} from './config.js';
import type { TimersDto } from './engine.js';

/** Where the prototype looks when it is told nothing. */
const DEFAULT_RULES = '/etc/inet/vxlnat.conf';

export const USAGE = `usage: vxlnatd -c CONFIG [-f RULES] [OPTIONS]
       vxlnatd [-f RULES] [OPTIONS]

Connects VXLAN networks to the Internet: SNAT rules and 1:1 addresses, from
napi-nat (CONFIG with a "napi" section) or from a file (RULES).

  -c, --config CONFIG      JSON configuration, see docs/vxlnatd.md
  -f, --file RULES         rules from a file instead of a control plane
                           (default without -c: ${DEFAULT_RULES})
  -d, --debug              log at trace level
      --underlay DEVICE    take VXLAN on this device only
      --vxlan-port PORT    VXLAN port (4789)
      --external DEVICE    answer ARP for public IPs on this device
      --announce HOW       arp, bgp (with a CONFIG) or none
      --tun NAME           TUN device for public IPs (vxn0)
      --tun-mtu BYTES      its MTU (1500)
      --inner-mtu BYTES    longest inner packet (1446)
      --max-flows N        room for this many flows
      --ports LOW-HIGH     public ports for SNAT (1024-65535)
      --timer NAME=SECONDS ${Object.keys(DEFAULT_TIMERS).slice(0, 4).join(', ')},
                           ${Object.keys(DEFAULT_TIMERS).slice(4).join(', ')}; may be repeated
      --admin HOST:PORT    admin interface (127.0.0.1:2960; port 0: any)
      --no-manage-os       leave routes, addresses and sysctls alone
  -h, --help               this text
      --version            the version

SIGHUP reads RULES again and changes only what differs; a fault in it is
logged and nothing changes. SIGTERM and SIGINT end the daemon.
Exit status: 0 ended as asked, 1 failed, 2 wrong usage or configuration.
`;

const string = { type: 'string' } as const;

/** For `parseArgs`. */
export const OPTIONS: NonNullable<ParseArgsConfig['options']> = {
  config: { ...string, short: 'c' },
  file: { ...string, short: 'f' },
  debug: { type: 'boolean', short: 'd' },
  underlay: string,
  'vxlan-port': string,
  external: string,
  announce: string,
  tun: string,
  'tun-mtu': string,
  'inner-mtu': string,
  'max-flows': string,
  ports: string,
  timer: { ...string, multiple: true },
  admin: string,
  'no-manage-os': { type: 'boolean' },
};

type Values = Record<
  string,
  string | boolean | (string | boolean)[] | undefined
>;

function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

function device(values: Values, name: string): string | undefined {
  const value = text(values, name);
  if (value === undefined || /^[A-Za-z0-9_.-]{1,15}$/.test(value)) return value;
  throw new UsageError(`--${name}: "${value}" is not a device name`);
}

function integer(
  option: string,
  value: string | undefined,
  low: number,
  high: number,
): number | undefined {
  if (value === undefined) return undefined;
  const number = /^\d{1,10}$/.test(value) ? Number(value) : -1;
  if (number >= low && number <= high) return number;
  throw new UsageError(
    `--${option}: "${value}" is not a number from ${low} to ${high}`,
  );
}

function ports(value: string | undefined) {
  if (value === undefined) return {};
  const match = /^(\d+)-(\d+)$/.exec(value);
  if (match === null) {
    throw new UsageError(`--ports: "${value}" is not of the form LOW-HIGH`);
  }
  const port_low = integer('ports', match[1], 1, 65535) as number;
  const port_high = integer('ports', match[2], port_low, 65535) as number;
  return { port_low, port_high };
}

function timers(values: Values): Partial<TimersDto> {
  const given: Partial<TimersDto> = {};
  const { timer } = values;
  for (const item of Array.isArray(timer) ? timer : []) {
    const [name = '', seconds, ...rest] = String(item).split('=');
    if (!Object.hasOwn(DEFAULT_TIMERS, name) || rest.length > 0) {
      const names = Object.keys(DEFAULT_TIMERS).join(', ');
      throw new UsageError(
        `--timer: "${item}" is not NAME=SECONDS of ${names}`,
      );
    }
    const value = integer(`timer ${name}`, seconds ?? '', 1, 864_000);
    given[name as keyof TimersDto] = (value as number) * 1000;
  }
  return given;
}

function admin(value: string | undefined) {
  if (value === undefined) return {};
  const colon = value.lastIndexOf(':');
  const host = value.slice(0, colon);
  if (colon <= 0) {
    throw new UsageError(`--admin: "${value}" is not of the form HOST:PORT`);
  }
  const port = integer('admin', value.slice(colon + 1), 0, 65535) as number;
  return { admin: { host, port } };
}

function announce(value: string | undefined) {
  if (value === undefined) return {};
  if (value === 'arp' || value === 'bgp' || value === 'none') {
    return { announce: value } as const;
  }
  throw new UsageError(`--announce: "${value}" is not arp, bgp or none`);
}

/** Leaves out what was not given, so that it overlays nothing. */
function given<T extends object>(
  values: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]?: NonNullable<T[K]> };
}

function overlay(file: ConfigFile, values: Values): ConfigFile {
  const underlay = given({
    interface: device(values, 'underlay'),
    port: integer('vxlan-port', text(values, 'vxlan-port'), 1, 65535),
  });
  const external = given({ interface: device(values, 'external') });
  const tun = given({
    name: device(values, 'tun'),
    mtu: integer('tun-mtu', text(values, 'tun-mtu'), 576, 9000),
  });
  const engine = given({
    inner_mtu: integer('inner-mtu', text(values, 'inner-mtu'), 576, 8900),
    max_flows: integer('max-flows', text(values, 'max-flows'), 64, 1 << 26),
  });
  return {
    ...file,
    underlay: { ...file.underlay, ...underlay },
    external: { ...file.external, ...external },
    tun: { ...file.tun, ...tun },
    engine: {
      ...file.engine,
      ...engine,
      ...ports(text(values, 'ports')),
      timers: { ...file.engine?.timers, ...timers(values) },
    },
    ...admin(text(values, 'admin')),
    ...announce(text(values, 'announce')),
    ...(values['no-manage-os'] === true ? { manage_os: false } : {}),
    ...(values['debug'] === true ? { log_level: 'trace' as const } : {}),
  };
}

/** What a command line asks for. */
export interface CommandLine {
  config: Config;
  /** The rules file, or null when rules come from napi-nat. */
  rules: string | null;
}

/**
 * Reads the configuration that a command line names and overlays its options.
 * @throws UsageError naming the option, or the file and the path inside it
 */
export function readCommandLine(values: Values): CommandLine {
  const configFile = text(values, 'config');
  const file =
    configFile === undefined
      ? { underlay: {} }
      : loadConfig<ConfigFile>(configFile, CONFIG_SCHEMA);
  const rules =
    text(values, 'file') ?? (configFile === undefined ? DEFAULT_RULES : null);
  const config = completeConfig(overlay(file, values));
  const faults = configFaults(config, rules === null);
  for (const [path, ip] of [
    ['/underlay/ip', config.underlay.ip],
    ['/external/ip', config.external.ip],
  ]) {
    if (ip === null || ip === undefined || parseIpv4(ip) !== null) continue;
    faults.push(`${path}: "${ip}" is not an IPv4 address`);
  }
  if (faults.length > 0) {
    const where = configFile ?? 'command line';
    throw new UsageError(faults.map((f) => `${where}: ${f}`).join('\n'));
  }
  return { config, rules };
}
