// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the configuration file of napi-nat may say. */

import { SERVER_TLS_SCHEMA, type TlsFiles } from '#lib/http/tls.js';
import type { Schema } from '#lib/schema/validate.js';
import type { LogLevel } from '#lib/service/log.js';
import { SVP_PORT } from '#lib/svp/messages.js';

interface Address {
  host: string;
  /** 0: any free port. */
  port: number;
}

/** A network made at the first start (facts: triton-napi 7). */
export interface InitialNetwork {
  uuid?: string;
  vlan?: number;
  network: string;
  netmask: string;
  startIP: string;
  endIP: string;
  gateway?: string;
  resolvers?: string[];
  owner_uuids?: string[];
  mtu?: number;
}

export interface OverlayConfig {
  enabled: boolean;
  default_overlay_mtu: number;
  default_underlay_mtu: number;
  overlay_nic_tag: string;
  underlay_nic_tag: string;
  /** How a new owner's vnet id is chosen; `random` as real NAPI does. */
  vnet_ids?: 'random' | 'sequential';
}

/** The embedded engine in a directory, or a PostgreSQL that several share. */
export type StoreConfig =
  | { directory: string }
  | { postgres: { url: string; schema?: string } };

export interface NapiConfig {
  datacenter?: string;
  listen: Address & { tls?: TlsFiles };
  /** Where SVP is served; on loopback unless it says more. */
  svp: Address;
  store: StoreConfig;
  /** UUID of the operator's account: owner of everything. */
  admin_uuid: string;
  /** Six hex digits: the first half of generated MACs. */
  mac_oui: string;
  overlay: OverlayConfig;
  /** Whether a network may leave its subnet to be found: `subnet_alloc`. */
  auto_alloc_subnets?: boolean;
  /** Whether a route's next hop may be `linklocal`, the NIC itself. */
  allow_linklocal?: boolean;
  initial_networks?: Record<string, InitialNetwork>;
  nat_reform: {
    /** Whether new fabric networks with internet_nat use NAT Reform. */
    default: boolean;
    policy: {
      sharing: 'shared' | 'per-owner';
      placement: 'spread' | 'standby';
      max_fabrics_per_public?: number;
      /** What a zone that joins or returns gets: new work, or its share. */
      on_join?: 'keep' | 'rebalance';
      /** By owner: compute nodes whose zones are to serve its fabrics. */
      pins?: Record<string, string[]>;
    };
    /** Most AIPs of one owner, unless an operator says so for it. */
    aip_quota?: number;
    /** Name or UUID of the network that public IPs are taken from. */
    public_network: string;
    probe: { vnet: number; interval_ms: number; misses: number; bind?: string };
    heartbeat: { interval_ms: number; misses: number };
    /** Where old NAT zones of converted fabrics are deleted; absent: nowhere. */
    sapi?: { url: string };
  };
  log_level?: LogLevel;
}

const text = { type: 'string', minLength: 1 };
const uuid = {
  type: 'string',
  pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  description: 'must be a UUID in lower case',
};
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const ip = {
  type: 'string',
  pattern: `^${OCTET}(\\.${OCTET}){3}$`,
  description: 'must be an IPv4 address',
};
const tag = {
  type: 'string',
  pattern: '^[a-zA-Z0-9_]{1,31}$',
  description: 'must be at most 31 letters, digits and underscores',
};
const mtu = { type: 'integer', minimum: 576, maximum: 9000 };
const count = { type: 'integer', minimum: 1, maximum: 1_000_000 };
/** A timer that is set for longer than 2^31 ms would fire at once. */
const interval = { type: 'integer', minimum: 1, maximum: 86_400_000 };
const address = {
  type: 'object',
  required: ['host', 'port'],
  properties: {
    host: { ...text, default: '127.0.0.1' },
    port: { type: 'integer', minimum: 0, maximum: 65535 },
  },
};

const initialNetwork = {
  type: 'object',
  required: ['network', 'netmask', 'startIP', 'endIP'],
  properties: {
    uuid,
    vlan: { type: 'integer', minimum: 0, maximum: 4094 },
    network: ip,
    netmask: ip,
    startIP: ip,
    endIP: ip,
    gateway: ip,
    resolvers: { type: 'array', items: ip },
    owner_uuids: { type: 'array', items: uuid },
    mtu,
  },
};

const overlay = {
  type: 'object',
  required: [
    'enabled',
    'default_overlay_mtu',
    'default_underlay_mtu',
    'overlay_nic_tag',
    'underlay_nic_tag',
  ],
  properties: {
    enabled: { type: 'boolean' },
    default_overlay_mtu: mtu,
    default_underlay_mtu: mtu,
    overlay_nic_tag: tag,
    underlay_nic_tag: tag,
    vnet_ids: { enum: ['random', 'sequential'] },
  },
};

const natReform = {
  type: 'object',
  required: ['default', 'policy', 'public_network', 'probe', 'heartbeat'],
  properties: {
    default: { type: 'boolean' },
    policy: {
      type: 'object',
      required: ['sharing', 'placement'],
      properties: {
        sharing: { enum: ['shared', 'per-owner'] },
        placement: { enum: ['spread', 'standby'] },
        max_fabrics_per_public: count,
        on_join: { enum: ['keep', 'rebalance'] },
        pins: {
          type: 'object',
          propertyNames: uuid,
          additionalProperties: { type: 'array', minItems: 1, items: uuid },
        },
      },
    },
    aip_quota: { type: 'integer', minimum: 0, maximum: 1_000_000 },
    public_network: text,
    probe: {
      type: 'object',
      required: ['vnet', 'interval_ms', 'misses'],
      properties: {
        vnet: { type: 'integer', minimum: 0, maximum: 0xffffff },
        interval_ms: interval,
        misses: count,
        bind: ip,
      },
    },
    heartbeat: {
      type: 'object',
      required: ['interval_ms', 'misses'],
      properties: { interval_ms: interval, misses: count },
    },
    sapi: {
      type: 'object',
      required: ['url'],
      properties: {
        url: {
          type: 'string',
          pattern: '^https?:',
          description: 'must be an http: or https: URL',
        },
      },
    },
  },
};

/** JSON Schema of `StoreConfig`. */
export const storeSchema: Schema = {
  type: 'object',
  minProperties: 1,
  maxProperties: 1,
  properties: {
    directory: text,
    postgres: {
      type: 'object',
      required: ['url'],
      properties: {
        url: {
          type: 'string',
          pattern: '^postgres(ql)?:',
          description: 'must be a postgres: URL',
        },
        schema: {
          type: 'string',
          pattern: '^[a-z][a-z0-9_]{0,62}$',
          description: 'must be lower-case letters, digits and underscores',
        },
      },
    },
  },
};

/** JSON Schema of `NapiConfig`; unknown keys are refused. */
export const configSchema: Schema = {
  type: 'object',
  required: [
    'listen',
    'svp',
    'store',
    'admin_uuid',
    'mac_oui',
    'overlay',
    'nat_reform',
  ],
  properties: {
    datacenter: text,
    listen: {
      ...address,
      properties: { ...address.properties, tls: SERVER_TLS_SCHEMA },
    },
    svp: { ...address, default: { host: '127.0.0.1', port: SVP_PORT } },
    store: storeSchema,
    admin_uuid: uuid,
    mac_oui: {
      type: 'string',
      pattern: '^[0-9a-f][02468ace][0-9a-f]{4}$',
      description: 'must be six lower-case hex digits, and not of a group',
    },
    overlay,
    auto_alloc_subnets: { type: 'boolean' },
    allow_linklocal: { type: 'boolean' },
    initial_networks: {
      type: 'object',
      // A network made here has a NIC tag of the same name.
      propertyNames: tag,
      additionalProperties: initialNetwork,
    },
    nat_reform: natReform,
    log_level: {
      enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    },
  },
};
