// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * NAT Reform for `app.ts`: its routes, metrics, and the loop that
 * watches the zones, put together in one place.
 */

import type { Route } from '#lib/http/types.js';
import type { Metrics } from '#lib/service/metrics.js';
import type { NapiContext } from '../context.js';
import { createProber } from '../probe/prober.js';
import { aipRoutes } from '../routes/aips.js';
import { dataplaneRoutes } from '../routes/dataplane.js';
import { natPublicRoutes } from '../routes/nat-publics.js';
import { natZoneRoutes } from '../routes/nat-zones.js';
import { ZoneMonitor } from './monitor.js';

/** What `app.ts` starts, stops and mounts. */
export interface NatReform {
  routes: Route[];
  monitor: ZoneMonitor;
  /** Begins to watch the zones; the buckets must be there. */
  start(): Promise<void>;
  stop(): void;
}

/** Makes the service; nothing runs before `start`. */
export function createNatReform(ctx: NapiContext): NatReform {
  const { probe } = ctx.config.nat_reform;
  const log = ctx.log.child({ component: 'nat-reform' });
  const monitor = new ZoneMonitor({ ...ctx, log }, (report) =>
    createProber({
      clock: ctx.clock,
      log,
      random: ctx.random,
      vnet: probe.vnet,
      interval_ms: probe.interval_ms,
      misses: probe.misses,
      bind: probe.bind,
      answered: (zone) => report(zone, { type: 'probe_answered' }),
      missed: (zone) => report(zone, { type: 'probe_missed' }),
    }),
  );
  return {
    routes: [
      ...aipRoutes(ctx),
      ...natZoneRoutes(ctx, monitor),
      ...natPublicRoutes(ctx),
      ...dataplaneRoutes(ctx),
    ],
    monitor,
    start: () => monitor.start(),
    stop: () => monitor.stop(),
  };
}

/** Gauges of every zone, read when asked for. */
export function registerZoneMetrics(
  metrics: Metrics,
  monitor: ZoneMonitor,
): void {
  const sampled = (
    name: string,
    help: string,
    read: (each: ReturnType<ZoneMonitor['zones']>[number]) => number | null,
  ) => {
    metrics.sampled(name, help, 'gauge', () =>
      monitor.zones().flatMap((each) => {
        const value = read(each);
        const { uuid, state } = each.zone;
        if (value === null) return [];
        return [{ labels: { zone: uuid, state }, value }];
      }),
    );
  };
  sampled('nat_zone_up', 'whether the zone is found alive', ({ status }) =>
    Number(status.verdict === 'up'),
  );
  sampled(
    'nat_zone_probe_ok',
    'whether data path probes are answered',
    (each) => Number(each.status.probe_ok),
  );
  sampled(
    'nat_zone_rules_in_sync',
    'whether the rules applied in the zone are the right ones',
    (each) => Number(each.status.in_sync),
  );
  sampled(
    'nat_zone_heartbeat_age_ms',
    'milliseconds since the last heartbeat',
    (each) => each.status.last_heartbeat_ms,
  );
}
