// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the benchmark shows: its table and its plots. */

import test from 'tape';
import { missed, table } from '../../bench/packets/document.js';
import { draw, spread, step } from '../../bench/packets/plot.js';
import type { Row } from '../../bench/report.js';

function figure(id: string, value: number, ratio: number | null): Row {
  return { id, value, unit: 'u', ratio, n: 3, min: value, max: value };
}

test('a goal that is missed is said, in both senses', (t) => {
  t.equal(missed(figure('pps.64.out.snat.xdp', 1, 3.9)), ', goal 4');
  t.equal(missed(figure('pps.64.out.snat.xdp', 1, 4.1)), '');
  t.equal(missed(figure('pps.64.out.snat.af_xdp.1m', 1, 1.55)), '');
  t.equal(missed(figure('rtt.p50.xdp', 1, 0.9)), ', goal 0.85');
  t.equal(missed(figure('rtt.p50.xdp', 1, 0.8)), '');
  t.equal(missed(figure('rtt.p50.tun', 1, 9)), '', 'has no goal');
  t.end();
});

test('one line of the table holds all gateways of a case', (t) => {
  const lines = table([
    figure('tcp.gso.in.kernel', 8, null),
    figure('core.new_flow', 1, null),
    figure('tcp.gso.in.tun', 4, 0.5),
  ]).split('\n');
  t.deepEqual(lines.slice(2), [
    '| `tcp.gso.in` | u | 8.00 |  |  | 4.00 (0.50, goal 0.9) |',
  ]);
  t.end();
});

test('axis steps are round and few', (t) => {
  for (const most of [0.7, 3, 59, 60, 1234, 2.9e6]) {
    const marks = most / step(most);
    t.ok(marks > 2 && marks <= 6, `${most} by ${step(most)}`);
  }
  t.end();
});

test('labels at the ends of lines do not touch', (t) => {
  t.deepEqual(spread([100, 90, 101]), [105, 90, 120]);
  t.end();
});

test('a plot has a line for each series and marks up its text', (t) => {
  const points = [
    { x: 1024, value: 5, min: 4, max: 6 },
    { x: 4096, value: 3, min: 3, max: 3 },
  ];
  const svg = draw({
    title: 'a < b',
    unit: 'u',
    ticks: points.map(({ x }) => ({ x, label: String(x) })),
    series: [
      { name: 'one', colour: '#000', points },
      { name: 'two', colour: '#111', points },
    ],
  });
  t.equal(svg.match(/<circle/g)?.length, 4);
  t.ok(svg.includes('a &lt; b'));
  t.notOk(svg.includes('NaN'));
  t.end();
});
