// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** How vxlnatadm writes the daemon's answers for people. */

import { pairs, span, table } from '#lib/service/table.js';
import { protocolName } from './arguments.js';

interface Health {
  live: boolean;
  ready: boolean;
  reasons: string[];
  zone_uuid: string;
  path: string;
  path_why: string | null;
  state: string | null;
  control_plane: string;
  position: number;
  newest_position: number | null;
  digest: string;
  rules: number;
  one_to_ones: number;
  announced: string[];
  ul3s: string[];
  uptime_ms: number;
}

interface Rules {
  rules: {
    vnet_id: number;
    vlan_id: number;
    subnet: string;
    gateway: string;
    router_mac: string;
    nat_reform_public: string;
  }[];
  one_to_ones: {
    vnet_id: number;
    vlan_id: number;
    private_ip: string;
    public_ip: string;
    aip_uuid: string;
  }[];
}

/** A flow as the daemon tells it. */
export interface Flow {
  vnet: number;
  proto: number;
  private_ip: string;
  private_port: number;
  public_ip: string;
  public_port: number;
  remote_ip: string;
  remote_port: number;
  state: string;
  idle_ms: number;
  expires_ms: number;
  packets_out: number;
  packets_in: number;
}

/** `status`. */
export function writeStatus(health: Health): string {
  const behind =
    health.newest_position === null
      ? ''
      : ` of ${Math.max(health.newest_position, health.position)}`;
  return pairs([
    ['zone', health.zone_uuid],
    ['live', health.live ? 'yes' : 'NO'],
    ['ready', health.ready ? 'yes' : `NO: ${health.reasons.join('; ')}`],
    ['path', health.path + (health.path_why ? `: ${health.path_why}` : '')],
    ['state', health.state ?? '-'],
    ['control plane', health.control_plane],
    ['position', `${health.position}${behind}`],
    ['digest', health.digest],
    ['rules', health.rules],
    ['1:1 entries', health.one_to_ones],
    ['UL3 served', health.ul3s.join(' ') || '-'],
    ['announced', health.announced.join(' ') || '-'],
    ['uptime', span(health.uptime_ms)],
  ]);
}

/** `rules`. */
export function writeRules({ rules, one_to_ones }: Rules): string {
  const snat = table(
    [
      { name: 'VNET', cell: (r) => r.vnet_id },
      { name: 'VLAN', cell: (r) => r.vlan_id },
      { name: 'SUBNET', cell: (r) => r.subnet },
      { name: 'ROUTER', cell: (r) => r.gateway },
      { name: 'ROUTER MAC', cell: (r) => r.router_mac },
      { name: 'PUBLIC', cell: (r) => r.nat_reform_public },
    ],
    rules,
  );
  const fixed = table(
    [
      { name: 'VNET', cell: (e) => e.vnet_id },
      { name: 'VLAN', cell: (e) => e.vlan_id },
      { name: 'PRIVATE', cell: (e) => e.private_ip },
      { name: 'PUBLIC', cell: (e) => e.public_ip },
      { name: 'AIP', cell: (e) => e.aip_uuid },
    ],
    one_to_ones,
  );
  return `${snat}\n\n${fixed}`;
}

/** `publics`. */
export function writePublics(
  publics: {
    ip: string;
    kind: string | null;
    zone_uuid: string | null;
    routed: boolean;
    announced: boolean;
    draining: boolean;
    flows: number;
  }[],
): string {
  return table(
    [
      { name: 'PUBLIC', cell: (p) => p.ip },
      { name: 'KIND', cell: (p) => p.kind ?? '-' },
      { name: 'ROUTED', cell: (p) => (p.routed ? 'yes' : 'no') },
      { name: 'ANNOUNCED', cell: (p) => (p.announced ? 'yes' : 'no') },
      { name: 'DRAINS', cell: (p) => (p.draining ? 'yes' : 'no') },
      { name: 'FLOWS', cell: (p) => p.flows },
      { name: 'ZONE', cell: (p) => p.zone_uuid ?? '-' },
    ],
    publics,
  );
}

/** `flows`. */
export function writeFlows(page: {
  flows: Flow[];
  cursor: number | null;
}): string {
  const text = table(
    [
      { name: 'VNET', cell: (f) => f.vnet },
      { name: 'PROTO', cell: (f) => protocolName(f.proto) },
      { name: 'PRIVATE', cell: (f) => `${f.private_ip}:${f.private_port}` },
      { name: 'PUBLIC', cell: (f) => `${f.public_ip}:${f.public_port}` },
      { name: 'REMOTE', cell: (f) => `${f.remote_ip}:${f.remote_port}` },
      { name: 'STATE', cell: (f) => f.state },
      { name: 'IDLE', cell: (f) => span(f.idle_ms) },
      { name: 'EXPIRES', cell: (f) => span(f.expires_ms) },
      { name: 'OUT', cell: (f) => f.packets_out },
      { name: 'IN', cell: (f) => f.packets_in },
    ],
    page.flows,
  );
  return page.cursor === null
    ? text
    : `${text}\n(more: --cursor ${page.cursor})`;
}

/** A drop reason with its count. */
export interface Drop {
  name: string;
  sentence: string;
  count: number;
}

/** `drops`. */
export function writeDrops(drops: Drop[]): string {
  return table(
    [
      { name: 'COUNT', cell: (d) => d.count },
      { name: 'REASON', cell: (d) => d.name },
      { name: 'MEANING', cell: (d) => d.sentence },
    ],
    drops,
  );
}

/** One packet's story, as the daemon tells it. */
export interface Story {
  time?: string;
  packet?: number;
  direction?: string;
  steps?: Record<string, unknown>[];
  verdict?: string;
  drop?: string;
  why?: string;
  lost?: number;
}

function writeStep({ stage, ...rest }: Record<string, unknown>): string {
  const parts = Object.entries(rest).map(([name, value]) =>
    value === true ? name : `${name} ${value ?? '-'}`,
  );
  return `  ${String(stage).padEnd(17)} ${parts.join('  ')}`.trimEnd();
}

/** A packet's story: one line for each stage. */
export function writeStory(story: Story): string {
  if (story.steps === undefined) return `(${story.lost ?? 0} stories lost)`;
  const head = [
    story.time,
    story.packet === undefined ? undefined : `packet ${story.packet}`,
    story.direction,
  ];
  const end =
    story.drop === undefined
      ? (story.verdict ?? '')
      : `dropped: ${story.drop}. ${story.why}`;
  return [
    head.filter((part) => part !== undefined).join('  '),
    ...story.steps.map(writeStep),
    `  ${end}`,
  ].join('\n');
}

/** A mapping as the daemon tells it. */
interface Mapped {
  vnet_id: number;
  subnet: string;
  mapping: string;
  private_ip: string | null;
  public_ips: string[];
  port_low: number;
  port_high: number;
}

/** What `nat` shows. */
export function writeMapped(found: Mapped[]): string {
  return table(
    [
      { name: 'VNET', cell: (m) => m.vnet_id },
      { name: 'SUBNET', cell: (m) => m.subnet },
      { name: 'PRIVATE', cell: (m) => m.private_ip ?? '-' },
      { name: 'PUBLIC', cell: (m) => m.public_ips.join(',') },
      { name: 'PORTS', cell: (m) => `${m.port_low}-${m.port_high}` },
      { name: 'MAPPING', cell: (m) => m.mapping },
    ],
    found,
  );
}
