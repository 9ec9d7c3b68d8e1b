// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which public ports a host has under a deterministic rule, and which host
 * had a port (RFC 7422): arithmetic on the rule alone. Twin of
 * native/vxlnat/engine/deterministic.h and port_range.h; the tests of both
 * have one table. Pure.
 */

import type { FabricRule } from '#lib/model/dataplane.js';
import { contains, parseCidr } from '#lib/net/cidr.js';
import { formatIpv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { publicsOf } from './world.js';

/** Ports from `low` to `high`, both of them. */
export interface PortRange {
  low: number;
  high: number;
}

/** What a rule gives a host, or whom it gave a port to. */
export interface Mapped {
  vnet_id: number;
  subnet: string;
  mapping: string;
  /** Null: not known without a flow or a log. */
  private_ip: string | null;
  /** One when it is certain, else those it may be. */
  public_ips: string[];
  port_low: number;
  port_high: number;
}

/** The public ports of a rule: its own range or the engine's, and its slice. */
export function portsOf(rule: FabricRule, engine: PortRange): PortRange {
  const { options = {} } = rule;
  const low = options.port_low || engine.low;
  const high = options.port_high || engine.high;
  const size = high - low + 1;
  const slices = options.slices ?? 1;
  const slice = options.slice ?? 0;
  return {
    low: low + Math.floor((size * slice) / slices),
    high: low + Math.floor((size * (slice + 1)) / slices) - 1,
  };
}

/** How hosts are dealt to addresses, and ports to hosts. */
function deal(bits: number, pool: number, ports: PortRange) {
  const hostsPerIp = Math.ceil(2 ** (32 - bits) / pool);
  const size = ports.high - ports.low + 1;
  return { hostsPerIp, portsPerHost: Math.floor(size / hostsPerIp) };
}

/** What a rule gives a host that its prefix covers; null when it does not. */
export function forward(
  rule: FabricRule,
  host: string,
  engine: PortRange,
): Mapped | null {
  const subnet = parseCidr(rule.subnet);
  const ip = parseIpv4(host);
  if (subnet === null || ip === null || !contains(subnet, ip)) return null;
  const mapping = rule.options?.mapping ?? 'endpoint-dependent';
  const ports = portsOf(rule, engine);
  const pool = publicsOf(rule);
  const mapped: Mapped = {
    vnet_id: rule.vnet_id,
    subnet: rule.subnet,
    mapping,
    private_ip: host,
    public_ips: pool,
    port_low: ports.low,
    port_high: ports.high,
  };
  if (mapping !== 'deterministic') return mapped;
  const { hostsPerIp, portsPerHost } = deal(subnet.bits, pool.length, ports);
  const n = ip - subnet.base;
  const low = ports.low + (n % hostsPerIp) * portsPerHost;
  return {
    ...mapped,
    public_ips: [pool[Math.floor(n / hostsPerIp)] as string],
    port_low: low,
    port_high: low + portsPerHost - 1,
  };
}

/** Whom a rule gave a port of one of its addresses; null when to nobody. */
export function reverse(
  rule: FabricRule,
  publicIp: string,
  port: number,
  engine: PortRange,
): Mapped | null {
  const pool = publicsOf(rule);
  const place = pool.indexOf(publicIp);
  const ports = portsOf(rule, engine);
  const subnet = parseCidr(rule.subnet);
  if (place < 0 || subnet === null || port < ports.low || port > ports.high) {
    return null;
  }
  if (rule.options?.mapping !== 'deterministic') {
    const first = forward(rule, rule.gateway, engine);
    return first && { ...first, private_ip: null, public_ips: [publicIp] };
  }
  const { hostsPerIp, portsPerHost } = deal(subnet.bits, pool.length, ports);
  const n = Math.floor((port - ports.low) / portsPerHost);
  const host = place * hostsPerIp + n;
  if (n >= hostsPerIp || host >= 2 ** (32 - subnet.bits)) return null;
  return forward(rule, formatIpv4(ipv4(subnet.base + host)), engine);
}
