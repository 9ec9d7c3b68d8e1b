// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `GET /metrics`: requests, journal, listeners, zones, SVP. */

import type { Publisher } from '#lib/changefeed/index.js';
import type { Finished, Route } from '#lib/http/types.js';
import { createMetrics, metricsRoute } from '#lib/service/metrics.js';
import type { Journal } from '#lib/store/types.js';
import type { ZoneMonitor } from '../nat-reform/monitor.js';
import type { SvpService } from '../svp/service.js';

/** Milliseconds. */
const LATENCY_BOUNDS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000];

export interface NapiMetrics {
  /** For the server's `onReply`. */
  replied(done: Finished): void;
  routes: Route[];
}

/** What is read when the metrics are asked for. */
export interface MetricSources {
  journal: Journal;
  publisher: Pick<Publisher, 'listeners'>;
  monitor: Pick<ZoneMonitor, 'zones'>;
  svp: Pick<SvpService, 'counters'>;
}

/** Makes the registry of napi-nat. */
export function createNapiMetrics(sources: MetricSources): NapiMetrics {
  const metrics = createMetrics();
  const requests = metrics.counter(
    'napi_requests_total',
    'HTTP requests by route, method and status',
  );
  const latency = metrics.histogram(
    'napi_request_milliseconds',
    'time from request to reply by route',
    LATENCY_BOUNDS,
  );
  metrics.sampled(
    'napi_journal_position',
    'position of the newest committed change',
    'gauge',
    () => [{ value: sources.journal.position() }],
  );
  metrics.sampled(
    'napi_changefeed_listeners',
    'registered changefeed listeners',
    'gauge',
    () => [{ value: sources.publisher.listeners() }],
  );
  metrics.sampled('napi_svp_total', 'SVP server by event', 'counter', () =>
    Object.entries(sources.svp.counters()).flatMap(([event, value]) =>
      typeof value === 'number' ? [{ labels: { event }, value }] : [],
    ),
  );
  metrics.sampled(
    'napi_nat_zone_in_sync',
    '1 when the zone has the rules of its own position',
    'gauge',
    () =>
      sources.monitor.zones().map(({ zone, status }) => ({
        labels: { zone: zone.uuid, state: zone.state },
        value: status.in_sync ? 1 : 0,
      })),
  );
  return {
    replied({ method, routeName = 'none', status, elapsedMs }) {
      requests.add({ method, route: routeName, status: String(status) });
      latency.observe(elapsedMs, { route: routeName });
    },
    routes: [metricsRoute(metrics)],
  };
}
