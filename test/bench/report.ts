// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What every benchmark gives back, and how it is shown: a table for people and
 * build/bench.json for machines. Ids are stable; docs/benchmarks.md lists them.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';

/** One figure. `ratio` is to the peer measured in the same run, or null. */
export interface Row {
  id: string;
  value: number;
  unit: string;
  ratio: number | null;
  /** Measurements behind the value. */
  n: number;
  min: number;
  max: number;
  /** Why there is no figure; then `value` is NaN. */
  missing?: string;
}

/** The value at a quantile of measurements, `q` from 0 to 1. */
export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const index = Math.min(sorted.length - 1, Math.floor(q * sorted.length));
  return sorted[index] as number;
}

/** A row from measurements, its value at the given quantile. */
export function row(
  id: string,
  unit: string,
  values: number[],
  q = 0.5,
  ratio: number | null = null,
): Row {
  return {
    id,
    unit,
    ratio,
    value: quantile(values, q),
    n: values.length,
    min: quantile(values, 0),
    max: quantile(values, 1),
  };
}

/** A line that says what could not be measured here. */
export function missing(id: string, why: string): Row {
  const none = Number.NaN;
  const row = { id, unit: '', ratio: null, value: none, n: 0 };
  return { ...row, min: none, max: none, missing: why };
}

function round(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

/** Prints the table. */
export function printRows(rows: Row[]): void {
  const width = Math.max(...rows.map((r) => r.id.length)) + 2;
  const columns = ['value', 'unit', 'ratio', 'n', 'min', 'max'];
  console.log('id'.padEnd(width) + columns.map((c) => c.padStart(12)).join(''));
  for (const r of rows) {
    if (r.missing !== undefined) {
      console.log(`${r.id.padEnd(width)}not available: ${r.missing}`);
      continue;
    }
    const cells = [
      round(r.value),
      r.unit,
      r.ratio === null ? '-' : round(r.ratio),
      String(r.n),
      round(r.min),
      round(r.max),
    ];
    console.log(r.id.padEnd(width) + cells.map((c) => c.padStart(12)).join(''));
  }
}

function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    arch: arch(),
    node: process.version,
  };
}

/** The machine that figures are from, as a sentence. */
export function machineWords(): string {
  const { cpu, cores, memory_gib, kernel } = machine();
  return `${cores} cores of ${cpu}, ${memory_gib} GiB, Linux ${kernel}.`;
}

/** Writes build/bench.json with the machine the figures are from. */
export function writeRows(rows: Row[]): void {
  const measured = rows.filter((r) => r.missing === undefined);
  const not_available = rows.flatMap(({ id, missing }) =>
    missing === undefined ? [] : [{ id, why: missing }],
  );
  mkdirSync('build', { recursive: true });
  writeFileSync(
    'build/bench.json',
    `${JSON.stringify({ machine: machine(), rows: measured, not_available }, null, 2)}\n`,
  );
}
