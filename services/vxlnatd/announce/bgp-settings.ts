// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The `bgp` section of vxlnatd's configuration: its schema and its defaults.
 * `docs/bgp.md` describes every field.
 */

/** An upstream router. */
export interface Neighbor {
  ip: string;
  as: number;
  /** TCP MD5 (RFC 2385), or null. */
  password: string | null;
  /** Most hops to it; null: it is on a link of ours. */
  multihop: number | null;
}

/** The section with every default filled in. */
export interface BgpConfig {
  local_as: number;
  /** Null: the zone's external address, or what BIRD chooses. */
  router_id: string | null;
  neighbors: Neighbor[];
  /** Without a message for so long a neighbour is given up. */
  hold_seconds: number;
  bfd: { interval_ms: number; multiplier: number } | null;
  /** How long upstream keeps our routes while BIRD is away; 0: not at all. */
  graceful_restart_seconds: number;
  /** Which of upstream's routes go into the kernel. */
  import: 'default' | 'all' | 'none';
  /** How long an address is served after it was withdrawn. */
  drain_ms: number;
  /** Where configuration, control socket, pid and log of BIRD are. */
  directory: string;
  /** A file of the operator's that BIRD reads as well. */
  include: string | null;
}

/** The section as people write it. */
export type BgpFile = Partial<Omit<BgpConfig, 'neighbors' | 'bfd'>> & {
  local_as: number;
  neighbors: (Partial<Neighbor> & { ip: string; as: number })[];
  bfd?: Partial<NonNullable<BgpConfig['bfd']>> | null;
};

const IPV4 = '^(\\d{1,3}\\.){3}\\d{1,3}$';
const AS = { type: 'integer', minimum: 1, maximum: 4_294_967_294 };
/** Goes between quotes into BIRD's configuration, which has no escapes. */
const PATH = '^/[^"\\n]*[^"\\n/]$';

/** JSON schema of `BgpFile`. */
export const BGP_SCHEMA: Record<string, unknown> = {
  type: ['object', 'null'],
  required: ['local_as', 'neighbors'],
  additionalProperties: false,
  properties: {
    local_as: AS,
    router_id: { type: ['string', 'null'], pattern: IPV4 },
    neighbors: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      items: {
        type: 'object',
        required: ['ip', 'as'],
        additionalProperties: false,
        properties: {
          ip: {
            type: 'string',
            pattern: IPV4,
            description: 'must be an IPv4 address: there are no IPv6 sessions',
          },
          as: AS,
          password: {
            type: ['string', 'null'],
            pattern: '^[ !#-~]{1,80}$',
          },
          multihop: { type: ['integer', 'null'], minimum: 1, maximum: 255 },
        },
      },
    },
    hold_seconds: { type: 'integer', minimum: 3, maximum: 65_535 },
    bfd: {
      type: ['object', 'null'],
      additionalProperties: false,
      properties: {
        interval_ms: { type: 'integer', minimum: 10, maximum: 10_000 },
        multiplier: { type: 'integer', minimum: 2, maximum: 50 },
      },
    },
    graceful_restart_seconds: { type: 'integer', minimum: 0, maximum: 4095 },
    import: { enum: ['default', 'all', 'none'] },
    drain_ms: { type: 'integer', minimum: 0, maximum: 60_000 },
    directory: { type: 'string', pattern: PATH, maxLength: 90 },
    include: { type: ['string', 'null'], pattern: PATH },
  },
};

/** Fills in every default. */
export function completeBgp(file: BgpFile): BgpConfig {
  return {
    router_id: null,
    hold_seconds: 9,
    graceful_restart_seconds: 30,
    import: 'default',
    drain_ms: 500,
    directory: '/run/vxlnat/bird',
    include: null,
    ...file,
    neighbors: file.neighbors.map((neighbor) => ({
      password: null,
      multihop: null,
      ...neighbor,
    })),
    bfd:
      file.bfd === null
        ? null
        : { interval_ms: 50, multiplier: 3, ...file.bfd },
  };
}

/** The section as it may be shown: without passwords. */
export function shownBgp(config: BgpConfig | null): BgpConfig | null {
  if (config === null) return null;
  const neighbors = config.neighbors.map((neighbor) => ({
    ...neighbor,
    password: neighbor.password === null ? null : '***',
  }));
  return { ...config, neighbors };
}
