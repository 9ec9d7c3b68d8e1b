// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * BIRD's configuration from ours, and back: the addresses that a file of ours
 * announces. Pure.
 *
 * What may be announced is what the protocol `served` holds and nothing else,
 * so no route that BIRD learns ever leaves by us. The addresses are routes
 * without a way (`blackhole`) that go to upstream only: they do not depend on
 * the TUN device, which is away while vxlnatd restarts.
 */

import type { BgpConfig, Neighbor } from './bgp-settings.js';

/** An address as it is announced. */
export interface Served {
  ip: string;
  /** Of several zones that announce it, the lowest has it; null: not sent. */
  med: number | null;
  /** Goes away soon: upstream should use any other way (RFC 8326). */
  leaving: boolean;
}

/** The most that can be sent; 2^32 - 1 is "none" to BIRD. */
export const WORST_MED = 4_294_967_294;

/**
 * The MED of an address that was taken at a position of the journal: who took
 * it later has the lower one. A zone that was left behind by a failover, be it
 * stuck, cut off or dead with its routes kept by graceful restart, so loses
 * against the one that the control plane chose.
 */
export function medAt(position: number): number {
  return WORST_MED - (position % WORST_MED);
}

function route({ ip, med, leaving }: Served): string {
  const set = [
    ...(med === null ? [] : [`bgp_med = ${med};`]),
    ...(leaving ? ['bgp_community.add((65535, 0));'] : []),
  ];
  const attributes = set.length === 0 ? '' : ` { ${set.join(' ')} }`;
  return `  route ${ip}/32 blackhole${attributes};\n`;
}

const ROUTE =
  /^ {2}route ([\d.]+)\/32 blackhole(?: \{(?: bgp_med = (\d+);)?( bgp_community.*)? \})?;$/gm;

/** The addresses that a configuration of ours announces. */
export function servedIn(text: string): Served[] {
  return [...text.matchAll(ROUTE)].map(([, ip = '', med, community]) => ({
    ip,
    med: med === undefined ? null : Number(med),
    leaving: community !== undefined,
  }));
}

/** The name of a neighbour's protocol in BIRD. */
export function protocolOf(neighbor: Neighbor): string {
  return `up_${neighbor.ip.replaceAll('.', '_')}`;
}

function neighborText(neighbor: Neighbor): string {
  const { ip, as, password, multihop } = neighbor;
  return `protocol bgp ${protocolOf(neighbor)} from upstream {
  neighbor ${ip} as ${as};
  ${multihop === null ? 'direct' : `multihop ${multihop}`};
${password === null ? '' : `  password "${password}";\n`}}
`;
}

function bfdText(bfd: BgpConfig['bfd']): string {
  if (bfd === null) return '';
  const times = `interval ${bfd.interval_ms} ms; multiplier ${bfd.multiplier};`;
  return `protocol bfd {
  interface "*" { ${times} };
  multihop { ${times} };
}
`;
}

const IMPORTS = {
  default: 'where net = 0.0.0.0/0',
  all: 'all',
  none: 'none',
} as const;

/**
 * The whole of bird.conf.
 * @param externalIp the zone's external address, or null
 */
export function birdConfig(
  config: BgpConfig,
  externalIp: string | null,
  served: Iterable<Served>,
): string {
  const { directory, graceful_restart_seconds: graceful } = config;
  const id = config.router_id ?? externalIp;
  const source = externalIp === null ? '' : `krt_prefsrc = ${externalIp}; `;
  return `# Written by vxlnatd, which overwrites it: see docs/bgp.md.
log "${directory}/bird.log" 1048576 "${directory}/bird.log.1" all;
timeformat protocol iso long ms;
${id === null ? '' : `router id ${id};\n`}\
${graceful > 0 ? `graceful restart wait ${graceful};\n` : ''}\
protocol device { }
${bfdText(config.bfd)}\
protocol kernel {
  ipv4 {
    import none;
    export filter {
      if source != RTS_BGP then reject;
      ${source}accept;
    };
  };
  merge paths yes;
${graceful > 0 ? '  graceful restart;\n' : ''}\
}
template bgp upstream {
  local${externalIp === null ? '' : ` ${externalIp}`} as ${config.local_as};
  hold time ${config.hold_seconds};
  connect delay time 1;
  connect retry time 5;
  error wait time 1, 10;
${config.bfd === null ? '' : '  bfd;\n'}\
  graceful restart ${graceful > 0 ? `on;\n  graceful restart time ${graceful}` : 'off'};
  ipv4 {
    next hop self;
    import ${IMPORTS[config.import]};
    export where proto = "served";
  };
}
${config.neighbors.map(neighborText).join('')}\
${config.include === null ? '' : `include "${config.include}";\n`}\
protocol static served {
  ipv4;
${[...served].map(route).join('')}}
`;
}
