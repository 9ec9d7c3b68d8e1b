// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Counters, gauges and histograms, and Prometheus' text form of them. Bounded:
 * a metric keeps at most so many label sets and counts the rest as dropped, so
 * that no client can grow the process by inventing labels.
 */

import type { Route } from '#lib/http/types.js';

export type Labels = Record<string, string>;

export interface Counter {
  add(labels?: Labels, by?: number): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  /** @param value in the metric's own unit */
  observe(value: number, labels?: Labels): void;
}

export interface Metrics {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /**
   * A gauge or counter that is read when asked for.
   * @param read the values of now, with their labels
   */
  sampled(
    name: string,
    help: string,
    type: 'gauge' | 'counter',
    read: () => { labels?: Labels; value: number }[],
  ): void;
  /** @param bounds upper bounds of the buckets, rising */
  histogram(name: string, help: string, bounds: number[]): Histogram;
  /** Everything in Prometheus' text exposition format 0.0.4. */
  text(): string;
}

const MAX_LABEL_SETS = 1000;
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

interface Family {
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  lines: () => string[];
}

/** @returns an empty registry */
export function createMetrics(): Metrics {
  const families = new Map<string, Family>();
  let dropped = 0;

  function register(name: string, family: Family): void {
    if (!NAME.test(name)) throw new Error(`metric name ${name} is not one`);
    if (families.has(name)) throw new Error(`metric ${name} exists already`);
    families.set(name, family);
  }

  function series<V>(make: () => V): Series<V> {
    return new Series(make, () => {
      dropped += 1;
    });
  }

  return {
    counter(name, help) {
      const values = series(() => ({ n: 0 }));
      register(name, {
        help,
        type: 'counter',
        lines: () => plain(name, values),
      });
      return {
        add(labels = {}, by = 1) {
          const value = values.of(labels);
          if (value !== undefined) value.n += by;
        },
      };
    },
    gauge(name, help) {
      const values = series(() => ({ n: 0 }));
      register(name, { help, type: 'gauge', lines: () => plain(name, values) });
      return {
        set(n, labels = {}) {
          const value = values.of(labels);
          if (value !== undefined) value.n = n;
        },
      };
    },
    sampled(name, help, type, read) {
      const lines = () =>
        read().map(({ labels, value }) => line(name, key(labels ?? {}), value));
      register(name, { help, type, lines });
    },
    histogram(name, help, bounds) {
      const values = series(() => emptyBuckets(bounds.length));
      const lines = () => bucketLines(name, bounds, values);
      register(name, { help, type: 'histogram', lines });
      return {
        observe(value, labels = {}) {
          const buckets = values.of(labels);
          if (buckets !== undefined) count(buckets, bounds, value);
        },
      };
    },
    text: () => expose(families, dropped),
  };
}

/** GET /metrics for a registry. */
export function metricsRoute(metrics: Metrics): Route {
  return {
    method: ['GET', 'HEAD'],
    path: '/metrics',
    name: 'getmetrics',
    handler: () => ({
      status: 200,
      text: {
        type: 'text/plain; version=0.0.4; charset=utf-8',
        content: metrics.text(),
      },
    }),
  };
}

/** Values by label set. */
class Series<V> {
  readonly #values = new Map<string, V>();
  readonly #make: () => V;
  readonly #onDrop: () => void;

  constructor(make: () => V, onDrop: () => void) {
    this.#make = make;
    this.#onDrop = onDrop;
  }

  of(labels: Labels): V | undefined {
    const name = key(labels);
    let value = this.#values.get(name);
    if (value === undefined) {
      if (this.#values.size >= MAX_LABEL_SETS) {
        this.#onDrop();
        return undefined;
      }
      value = this.#make();
      this.#values.set(name, value);
    }
    return value;
  }

  entries(): [string, V][] {
    return [...this.#values.entries()];
  }
}

interface Buckets {
  counts: number[];
  count: number;
  sum: number;
}

function emptyBuckets(bounds: number): Buckets {
  return { counts: new Array<number>(bounds).fill(0), count: 0, sum: 0 };
}

function count(buckets: Buckets, bounds: number[], value: number): void {
  buckets.count += 1;
  buckets.sum += value;
  bounds.forEach((bound, i) => {
    if (value <= bound) buckets.counts[i] = (buckets.counts[i] ?? 0) + 1;
  });
}

function bucketLines(
  name: string,
  bounds: number[],
  values: Series<Buckets>,
): string[] {
  return values.entries().flatMap(([labels, buckets]) => {
    const le = (bound: string) =>
      `${labels}${labels === '' ? '' : ','}le="${bound}"`;
    return [
      ...bounds.map((bound, i) =>
        line(`${name}_bucket`, le(String(bound)), buckets.counts[i] ?? 0),
      ),
      line(`${name}_bucket`, le('+Inf'), buckets.count),
      line(`${name}_sum`, labels, buckets.sum),
      line(`${name}_count`, labels, buckets.count),
    ];
  });
}

function plain(name: string, values: Series<{ n: number }>): string[] {
  return values.entries().map(([labels, { n }]) => line(name, labels, n));
}

function line(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${value}`;
}

function key(labels: Labels): string {
  return Object.keys(labels)
    .sort()
    .map((name) => `${name}="${escapeLabel(labels[name] ?? '')}"`)
    .join(',');
}

function escapeLabel(value: string): string {
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n');
}

function expose(families: Map<string, Family>, dropped: number): string {
  const lines: string[] = [];
  for (const [name, family] of families) {
    const help = family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${family.type}`);
    lines.push(...family.lines());
  }
  lines.push(
    '# HELP metrics_dropped_total samples of label sets beyond the limit',
    '# TYPE metrics_dropped_total counter',
    `metrics_dropped_total ${dropped}`,
  );
  return `${lines.join('\n')}\n`;
}
