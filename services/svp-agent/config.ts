// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The agent's configuration file: its schema, and the typed values with all
 * defaults filled in. docs/svp-agent.md explains each field.
 */

import { UsageError } from '#lib/errors.js';
import { CLIENT_TLS_SCHEMA, type TlsFiles } from '#lib/http/tls.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { VNET_MAX } from '#lib/net/vnet.js';
import type { Schema } from '#lib/schema/validate.js';
import { loadConfig } from '#lib/service/config.js';
import type { LogLevel } from '#lib/service/log.js';
import { SVP_PORT } from '#lib/svp/messages.js';

/** One vnet that this node has instances of. */
export interface VnetConfig {
  vnet_id: number;
  /** The VXLAN device to make; `vx<vnet_id>` unless told. */
  device: string;
  /** A bridge to put it into; made when it is not there. */
  bridge: string | null;
  /** Fabric VLAN that travels inside VXLAN; 0 for none. */
  vlan: number;
}

export interface AgentConfig {
  svp: { host: string; port: number; query_ms: number };
  /** napi-nat, whose changefeed is faster than the SVP log. */
  napi: { url: string; tls?: TlsFiles } | null;
  /** Names this node to napi-nat and in log lines. */
  cn_uuid: string | null;
  underlay_ip: Ipv4;
  underlay_interface: string | null;
  vxlan_port: number;
  mtu: number;
  vnets: VnetConfig[];
  log: { level: LogLevel; idle_ms: number; jitter_ms: number };
  /** A network namespace to work in; this process's own unless told. */
  netns: string | null;
}

/** The file as written: everything with a default may be absent. */
interface ConfigFile {
  svp: { host: string; port?: number; query_ms?: number };
  napi?: { url: string; tls?: TlsFiles };
  cn_uuid?: string;
  underlay_ip: string;
  underlay_interface?: string;
  vxlan_port?: number;
  mtu?: number;
  vnets: {
    vnet_id: number;
    device?: string;
    bridge?: string;
    vlan?: number;
  }[];
  log?: { level?: LogLevel; idle_ms?: number; jitter_ms?: number };
  log_level?: LogLevel;
  netns?: string;
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

function integer(minimum: number, maximum: number): Schema {
  const description = `must be a whole number from ${minimum} to ${maximum}`;
  return { type: 'integer', minimum, maximum, description };
}

const DEVICE: Schema = {
  type: 'string',
  // IFNAMSIZ is 16; no leading dash, which a command would take as an option.
  pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$',
  description: 'must be a device name of at most 15 letters, digits, _ . -',
};
const IPV4: Schema = {
  type: 'string',
  pattern: '^\\d{1,3}(\\.\\d{1,3}){3}$',
  description: 'must be an IPv4 address',
};
const TEXT: Schema = { type: 'string', minLength: 1 };
const LEVEL: Schema = { enum: LEVELS };

const SCHEMA: Schema = {
  type: 'object',
  required: ['svp', 'underlay_ip', 'vnets'],
  properties: {
    svp: {
      type: 'object',
      required: ['host'],
      properties: {
        host: TEXT,
        port: integer(1, 65_535),
        query_ms: integer(10, 600_000),
      },
    },
    napi: {
      type: 'object',
      required: ['url'],
      properties: {
        tls: CLIENT_TLS_SCHEMA,
        url: {
          type: 'string',
          pattern: '^https?://[^/]+',
          description: 'must be an http:// URL',
        },
      },
    },
    cn_uuid: TEXT,
    underlay_ip: IPV4,
    underlay_interface: DEVICE,
    vxlan_port: integer(1, 65_535),
    mtu: integer(576, 9000),
    vnets: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['vnet_id'],
        properties: {
          vnet_id: integer(0, VNET_MAX),
          device: DEVICE,
          bridge: DEVICE,
          vlan: integer(0, 4094),
        },
      },
    },
    log: {
      type: 'object',
      properties: {
        level: LEVEL,
        idle_ms: integer(10, 3_600_000),
        jitter_ms: integer(0, 3_600_000),
      },
    },
    log_level: LEVEL,
    netns: {
      type: 'string',
      pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$',
      description: 'must be the name of a network namespace',
    },
  },
};

/** The kernel has one VXLAN device for a vnet, and names are unique. */
function refuseTwice(file: string, vnets: VnetConfig[]): void {
  for (const name of ['vnet_id', 'device'] as const) {
    const seen = new Set<unknown>();
    vnets.forEach((vnet, i) => {
      if (seen.has(vnet[name])) {
        throw new UsageError(
          `${file}: /vnets/${i}/${name}: ${vnet[name]} is there twice; ` +
            'each vnet has one device, and one VLAN inside it',
        );
      }
      seen.add(vnet[name]);
    });
  }
}

/**
 * Reads and checks a configuration file.
 * @throws UsageError with a line for each thing that is wrong
 */
export function readConfig(file: string): AgentConfig {
  const raw = loadConfig<ConfigFile>(file, SCHEMA);
  const underlay = parseIpv4(raw.underlay_ip);
  if (underlay === null) {
    throw new UsageError(`${file}: /underlay_ip: must be an IPv4 address`);
  }
  if (raw.napi !== undefined && !URL.canParse(raw.napi.url)) {
    throw new UsageError(`${file}: /napi/url: is not a URL`);
  }
  const vnets = raw.vnets.map((vnet) => ({
    device: `vx${vnet.vnet_id}`,
    bridge: null,
    vlan: 0,
    ...vnet,
  }));
  refuseTwice(file, vnets);
  return {
    svp: { port: SVP_PORT, query_ms: 5000, ...raw.svp },
    napi: raw.napi ?? null,
    cn_uuid: raw.cn_uuid ?? null,
    underlay_ip: underlay,
    underlay_interface: raw.underlay_interface ?? null,
    vxlan_port: raw.vxlan_port ?? 4789,
    mtu: raw.mtu ?? 1500,
    vnets,
    log: {
      level: raw.log_level ?? 'info',
      idle_ms: 5000,
      jitter_ms: 5000,
      ...raw.log,
    },
    netns: raw.netns ?? null,
  };
}
