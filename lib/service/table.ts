// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Tables for people: columns as wide as they need, numbers to the right. */

/** A column: its heading and how a row's cell is written. */
export interface Column<T> {
  name: string;
  cell: (row: T) => string | number;
}

/** A number, with the unit of `short` or without. */
const NUMBER = /^-?\d+(\.\d+)?[kMGT]?$/;

/**
 * Writes a table.
 * @returns lines, the heading first, with no space at their ends; a line says
 *   so when there are no rows
 */
export function table<T>(columns: Column<T>[], rows: T[]): string {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = columns.map((column, i) =>
    Math.max(
      column.name.length,
      ...cells.map((line) => String(line[i]).length),
    ),
  );
  const numeric = columns.map(
    (_, i) =>
      cells.length > 0 && cells.every((line) => NUMBER.test(String(line[i]))),
  );
  const write = (line: (string | number)[]) =>
    line
      .map((cell, i) => {
        const width = widths[i] as number;
        const text = String(cell);
        return numeric[i] ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const lines = [columns.map((c) => c.name), ...cells].map(write);
  if (rows.length === 0) lines.push('(none)');
  return lines.join('\n');
}

/** `name: value` lines with the values in one column. */
export function pairs(values: [string, string | number][]): string {
  const width = Math.max(...values.map(([name]) => name.length)) + 1;
  return values
    .map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}`.trimEnd())
    .join('\n');
}

/** A time span in the largest unit that keeps it short: `350ms`, `2h04m`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  const two = (value: number) => String(value).padStart(2, '0');
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}
