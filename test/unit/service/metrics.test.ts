// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Prometheus can read it, and no label can grow it without bound. */

import test from 'tape';
import { createMetrics, metricsRoute } from '#lib/service/metrics.js';
import { startHttp } from '#test/http-server.js';

test('counters, gauges and histograms in text form', (t) => {
  const metrics = createMetrics();
  const requests = metrics.counter('requests_total', 'requests\nserved');
  requests.add({ status: '200', route: 'a"b\\c' });
  requests.add({ route: 'a"b\\c', status: '200' }, 2);
  metrics.gauge('position', 'journal position').set(7);
  metrics.sampled('zones', 'zones', 'gauge', () => [
    { labels: { state: 'up' }, value: 2 },
  ]);
  const latency = metrics.histogram('latency_ms', 'latency', [1, 10]);
  for (const value of [0.5, 5, 50]) latency.observe(value, { route: 'r' });
  t.deepEqual(metrics.text().split('\n'), [
    '# HELP requests_total requests\\nserved',
    '# TYPE requests_total counter',
    'requests_total{route="a\\"b\\\\c",status="200"} 3',
    '# HELP position journal position',
    '# TYPE position gauge',
    'position 7',
    '# HELP zones zones',
    '# TYPE zones gauge',
    'zones{state="up"} 2',
    '# HELP latency_ms latency',
    '# TYPE latency_ms histogram',
    'latency_ms_bucket{route="r",le="1"} 1',
    'latency_ms_bucket{route="r",le="10"} 2',
    'latency_ms_bucket{route="r",le="+Inf"} 3',
    'latency_ms_sum{route="r"} 55.5',
    'latency_ms_count{route="r"} 3',
    '# HELP metrics_dropped_total samples of label sets beyond the limit',
    '# TYPE metrics_dropped_total counter',
    'metrics_dropped_total 0',
    '',
  ]);
  t.end();
});

test('label sets beyond the limit are counted, not kept', (t) => {
  const metrics = createMetrics();
  const counter = metrics.counter('n', 'n');
  for (let i = 0; i < 1500; i += 1) counter.add({ id: String(i) });
  const lines = metrics.text().split('\n');
  t.equal(lines.filter((line) => line.startsWith('n{')).length, 1000);
  t.ok(lines.includes('metrics_dropped_total 500'));
  t.end();
});

test('a name is used once and is a name', (t) => {
  const metrics = createMetrics();
  metrics.gauge('a', 'a');
  t.throws(() => metrics.counter('a', 'a'), /exists already/);
  t.throws(() => metrics.counter('a-b', 'a'), /is not one/);
  t.end();
});

test('GET /metrics', async (t) => {
  const metrics = createMetrics();
  const { client } = await startHttp(t, [metricsRoute(metrics)]);
  const answer = await client.get<string>('/metrics');
  t.equal(
    answer.headers['content-type'],
    'text/plain; version=0.0.4; charset=utf-8',
  );
  t.equal(answer.body, metrics.text());
});
