// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `/metrics`: the daemon's numbers in Prometheus' text format. They are kept
 * where they arise (engine, resolver, loops) and only written out here, so
 * nothing is counted twice.
 */

import type { AdminView } from './admin.js';
import type { StatsDto } from './engine.js';

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

/** The whole page. */
export function exposition(view: AdminView): string {
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
  pages.push(engineMetrics(view.engine.stats()), dropMetrics(view));
  return pages.join('');
}
