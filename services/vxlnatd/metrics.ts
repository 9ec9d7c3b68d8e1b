// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `/metrics`: the daemon's numbers in Prometheus' text format. They are kept
 * where they arise (engine, resolver, loops) and only written out here, so
 * nothing is counted twice.
 */

import type { AdminView } from './admin.js';
import type { NeighborStatus } from './announce/bird-answers.js';
import type { PublicCountsDto, StatsDto, VnetCountsDto } from './engine.js';
import { portsOf } from './look/hottest.js';

/** The engine's values that go up and down; all others are totals. */
const GAUGES: ReadonlySet<string> = new Set([
  'flows',
  'fragments',
  'rules',
  'one_to_ones',
  'vnets',
  'remotes',
]);

function metric(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: number,
): string {
  const full = `vxlnatd_${name}${type === 'counter' ? '_total' : ''}`;
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`;
}

function engineMetrics(stats: StatsDto): string {
  return Object.entries(stats)
    .map(([name, value]) => {
      const type = GAUGES.has(name) ? 'gauge' : 'counter';
      const words = name.replaceAll('_', ' ');
      return metric(`engine_${name}`, type, `Engine: ${words}.`, value);
    })
    .join('');
}

function dropMetrics(view: AdminView): string {
  const name = 'vxlnatd_drops_total';
  const lines = view.engine
    .drops()
    .map((drop) => `${name}{reason="${drop.name}"} ${drop.count}\n`);
  return `# HELP ${name} Packets dropped, by reason.\n# TYPE ${name} counter\n${lines.join('')}`;
}

/** Counts of the engine that are kept for each vnet and public IP. */
const TRAFFIC = ['packets', 'bytes'] as const;
const LOADS = [
  ['flows', 'gauge'],
  ['high_water', 'gauge'],
  ['created', 'counter'],
  ['expired', 'counter'],
] as const;

type Counted = VnetCountsDto | PublicCountsDto;

/** One metric with a line for each vnet or public IP. */
function family(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  lines: [labels: string, value: number][],
): string {
  const full = `vxlnatd_${name}${type === 'counter' ? '_total' : ''}`;
  const written = lines.map(
    ([labels, value]) => `${full}{${labels}} ${value}\n`,
  );
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${written.join('')}`;
}

function countedMetrics(
  what: 'vnet' | 'public',
  all: Counted[],
  label: (each: Counted) => string,
): string {
  const traffic = TRAFFIC.map((unit) =>
    family(
      `${what}_${unit}`,
      'counter',
      `Translated ${unit}, by direction.`,
      all.flatMap((each) => [
        [`${label(each)},direction="out"`, each[`${unit}_out`]],
        [`${label(each)},direction="in"`, each[`${unit}_in`]],
      ]),
    ),
  );
  const loads = LOADS.map(([name, type]) =>
    family(
      name === 'flows' ? `${what}_flows` : `${what}_flows_${name}`,
      type,
      `Flows: ${name.replace('_', ' ')}.`,
      all.map((each) => [label(each), each[name]]),
    ),
  );
  return [...traffic, ...loads].join('');
}

/** Reasons for which a packet is refused a flow of its own. */
const REFUSALS = [
  'PortExhausted',
  'FlowTableFull',
  'VnetFlowLimit',
  'HostFlowLimit',
  'HostTableFull',
  'NewFlowRate',
  'BindingTableFull',
  'PortSearchLimit',
] as const;

async function inspectedMetrics(view: AdminView): Promise<string> {
  const [counts, hot] = await Promise.all([
    view.engine.counts(),
    view.hottest.list(1),
  ]);
  const drops = counts.vnets.flatMap(({ vnet, drops }) =>
    Object.entries(drops).map(([reason, count]): [string, number] => [
      `vnet="${vnet}",reason="${reason}"`,
      count,
    ]),
  );
  const refused = view.engine
    .drops()
    .filter(({ name }) => (REFUSALS as readonly string[]).includes(name));
  const ports = portsOf(view.config.engine);
  return [
    countedMetrics('vnet', counts.vnets, ({ vnet }) => `vnet="${vnet}"`),
    countedMetrics(
      'public',
      counts.publics,
      (each) => `public_ip="${(each as PublicCountsDto).ip}"`,
    ),
    family('vnet_drops', 'counter', 'Drops by vnet and reason.', drops),
    family(
      'allocation_failures',
      'counter',
      'Packets refused a flow, by reason.',
      refused.map(({ name, count }) => [`reason="${name}"`, count]),
    ),
    family(
      'public_hottest_ratio',
      'gauge',
      'Share of ports in use towards the hottest remote.',
      hot.map(({ public_ip, flows }) => [
        `public_ip="${public_ip}"`,
        flows / ports,
      ]),
    ),
  ].join('');
}

/** The path of packets: what the kernel's part did, and what was lost. */
function pathMetrics(view: AdminView): string {
  const io = view.engine.io();
  return [
    family('path', 'gauge', 'By which path packets go.', [
      [`path="${io.path}"`, 1],
    ]),
    family('fast_path_packets', 'counter', 'Translated in the kernel.', [
      ['direction="out"', io.fast_out],
      ['direction="in"', io.fast_in],
    ]),
    metric('raised_packets', 'counter', 'Given to the engine.', io.raised),
    family('port_lost_packets', 'counter', 'Lost at a port.', [
      ['reason="overflow"', io.rx_overflow],
      ['reason="invalid"', io.rx_invalid],
      ['reason="refused"', io.tx_refused],
      ['reason="detour"', io.detour_lost],
    ]),
    family(
      'thread_cpu_seconds',
      'counter',
      'Processor time of each packet thread.',
      view.threads().map(({ name, seconds }) => [`thread="${name}"`, seconds]),
    ),
  ].join('');
}

function natLogMetrics(view: AdminView): string {
  const stats = view.natLog?.();
  if (stats === undefined) return '';
  return [
    metric('nat_log_events', 'counter', 'Sessions told.', stats.events),
    metric('nat_log_lost', 'counter', 'Events lost.', stats.lost),
  ].join('');
}

function bgpMetrics(view: AdminView): string {
  const bgp = view.bgp?.status();
  if (bgp === undefined) return '';
  const each = (value: (neighbor: NeighborStatus) => number) =>
    bgp.neighbors.map((neighbor): [string, number] => [
      `neighbor="${neighbor.ip}"`,
      value(neighbor),
    ]);
  return [
    family(
      'bgp_established',
      'gauge',
      'BGP session up.',
      each(({ established }) => (established ? 1 : 0)),
    ),
    family(
      'bgp_bfd_up',
      'gauge',
      'BFD session up.',
      each(({ bfd }) => (bfd === 'Up' ? 1 : 0)),
    ),
    family(
      'bgp_exported',
      'gauge',
      'Public IPs announced to it.',
      each(({ exported }) => exported),
    ),
    metric('bgp_served', 'gauge', 'Public IPs to announce.', bgp.announced),
    metric('bgp_bird_up', 'gauge', 'BIRD answers.', bgp.answers ? 1 : 0),
    metric('bgp_restarts', 'counter', 'BIRD started again.', bgp.restarts),
  ].join('');
}

/** The whole page. */
export async function exposition(view: AdminView): Promise<string> {
  const resolver = view.resolver();
  const reconcile = view.reconcile();
  const heartbeat = view.heartbeat?.();
  const up = (value: boolean) => (value ? 1 : 0);
  const pages = [
    metric('up', 'gauge', 'Packet worker alive.', up(view.watch.alive())),
    metric('position', 'gauge', 'Journal position.', reconcile.position),
    metric('passes', 'counter', 'Reconcile passes.', reconcile.passes),
    metric('steps', 'counter', 'Steps planned.', reconcile.steps),
    metric(
      'steps_failed',
      'gauge',
      'Steps that failed in the last pass.',
      reconcile.failures.length,
    ),
    metric(
      'publics_announced',
      'gauge',
      'Public IPs announced.',
      view.applied.announced.size,
    ),
    metric('svp_known', 'gauge', 'Remotes known.', resolver.known),
    metric('svp_waiting', 'gauge', 'Questions open.', resolver.waiting),
    metric('svp_asked', 'counter', 'Questions asked.', resolver.asked),
    metric('svp_not_found', 'counter', 'Not found.', resolver.not_found),
    metric('svp_failed', 'counter', 'Not answered.', resolver.failed),
    metric('svp_shootdowns', 'counter', 'Shootdowns.', resolver.shootdowns),
  ];
  if (heartbeat !== undefined) {
    pages.push(
      metric('heartbeat_ok', 'gauge', 'Beats answered.', up(heartbeat.ok)),
      metric('heartbeats', 'counter', 'Beats sent.', heartbeat.sent),
      metric('heartbeats_failed', 'counter', 'Beats lost.', heartbeat.failed),
    );
  }
  if (view.connected !== null) {
    pages.push(
      metric('feed_up', 'gauge', 'Changefeed up.', up(view.connected())),
    );
  }
  pages.push(
    engineMetrics(view.engine.stats()),
    metric(
      'engine_max_flows',
      'gauge',
      'Room for flows.',
      view.config.engine.max_flows,
    ),
    dropMetrics(view),
    pathMetrics(view),
    natLogMetrics(view),
    bgpMetrics(view),
    await inspectedMetrics(view),
  );
  return pages.join('');
}
