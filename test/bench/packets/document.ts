// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Puts the figures of a run into docs/performance.md, between its two marks,
 * and draws the plots beside it. Whatever is worse than the kernel or misses
 * its goal says so in the table.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Row } from '../report.js';
import { type Kind, PATHS } from './gateway.js';
import { draw, type Plot } from './plot.js';
import { SCALE } from './pps.js';

const PAGE = 'docs/performance.md';
const IMAGES = 'docs/img';
const BEGIN = '<!-- figures -->';
const END = '<!-- end of figures -->';
const KINDS: readonly Kind[] = ['kernel', ...PATHS];
const NAMES: Record<Kind, [string, string]> = {
  kernel: ['kernel', '#888'],
  xdp: ['XDP', '#0b7a4b'],
  af_xdp: ['AF_XDP', '#2563c9'],
  tun: ['UDP + TUN', '#c2571a'],
};

/** What is to be reached: ratios to the kernel, "<" for times. */
const GOALS: [RegExp, Partial<Record<Kind, number>>, '<'?][] = [
  [/^pps\.64\..*1m$/, { xdp: 4, af_xdp: 1.5 }],
  [/^pps\.64/, { xdp: 4, af_xdp: 1.6 }],
  [/^pps\.1400/, { xdp: 4.8, af_xdp: 1.5 }],
  [/^newflow/, { af_xdp: 2 }],
  [/^rtt\.p50/, { xdp: 0.85, af_xdp: 1.5 }, '<'],
  [/^rtt\.p99/, { xdp: 0.8, af_xdp: 1.5 }, '<'],
  [/^tcp\.wire/, { xdp: 0.7, af_xdp: 0.4 }],
  [/^tcp\.gso\.out/, { tun: 0.95 }],
  [/^tcp\.gso\.in/, { tun: 0.9 }],
];

function kindOf(row: Row): Kind | undefined {
  const words = row.id.split('.');
  return KINDS.find((kind) => words.includes(kind));
}

/** The id without its gateway: what is compared. */
function caseOf(row: Row): string {
  const kind = kindOf(row);
  return row.id
    .split('.')
    .filter((word) => word !== kind)
    .join('.');
}

function number(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)} k`;
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

/** A goal that a row misses, as words; nothing when it is met or has none. */
export function missed(row: Row): string {
  const kind = kindOf(row);
  const found = GOALS.find(([of]) => of.test(caseOf(row)));
  const goal = kind && found?.[1][kind];
  if (goal === undefined || !found || row.ratio === null) return '';
  const met = found[2] === '<' ? row.ratio <= goal : row.ratio >= goal;
  return met ? '' : `, goal ${goal}`;
}

function cell(row: Row | undefined): string {
  if (row === undefined) return '';
  if (row.ratio === null) return number(row.value);
  return `${number(row.value)} (${row.ratio.toFixed(2)}${missed(row)})`;
}

/** The table in Markdown. */
export function table(rows: Row[]): string {
  const of = rows.filter((row) => kindOf(row) !== undefined);
  const cases = [...new Set(of.map(caseOf))];
  const lines = cases.map((id) => {
    const same = of.filter((row) => caseOf(row) === id);
    const cells = KINDS.map((kind) =>
      cell(same.find((r) => kindOf(r) === kind)),
    );
    return `| \`${id}\` | ${same[0]?.unit} | ${cells.join(' | ')} |`;
  });
  const names = KINDS.map((kind) => NAMES[kind][0]);
  return [
    `| figure | unit | ${names.join(' | ')} |`,
    `|---|---|${names.map(() => '---|').join('')}`,
    ...lines,
  ].join('\n');
}

/** Both plots over the number of flows; null without those rows. */
function plots(rows: Row[]): [string, Plot][] {
  const series = KINDS.flatMap((kind) => {
    const points = SCALE.flatMap(([name, x]) => {
      const row = rows.find((r) => r.id === `pps.64.out.snat.${kind}.${name}`);
      return row ? [{ x, value: row.value, min: row.min, max: row.max }] : [];
    });
    const [name, colour] = NAMES[kind];
    return points.length > 0 ? [{ name, colour, points }] : [];
  });
  if (series.length === 0) return [];
  const ticks = SCALE.map(([label, x]) => ({ x, label: label.toUpperCase() }));
  const ns = series.map((s) => ({
    ...s,
    points: s.points.map(({ x, value, min, max }) => {
      // A round in which nothing came has no time for a packet.
      const slowest = min > 0 ? min : value;
      return { x, value: 1e9 / value, min: 1e9 / max, max: 1e9 / slowest };
    }),
  }));
  const what = '64-byte UDP, SNAT, out';
  return [
    [
      'pps',
      { title: `Packets: ${what}`, unit: 'a core-second', ticks, series },
    ],
    ['ns', { title: `Time: ${what}`, unit: 'ns a packet', ticks, series: ns }],
  ];
}

/** Writes the page's figures and its plots. */
export function document(rows: Row[], machine: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has lost its marks`);
  const figures = `${machine}\n\n${table(rows)}`;
  writeFileSync(
    PAGE,
    `${page.slice(0, from + BEGIN.length)}\n${figures}\n${page.slice(to)}`,
  );
  mkdirSync(IMAGES, { recursive: true });
  for (const [name, plot] of plots(rows)) {
    writeFileSync(`${IMAGES}/${name}-by-flows.svg`, draw(plot));
  }
}
