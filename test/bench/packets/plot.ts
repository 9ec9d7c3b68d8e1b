// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Line plots as SVG text: a few series over the number of flows, with the
 * spread of each point, labelled at their ends. No dependency, no script, and
 * readable on a light and on a dark page.
 */

/** One point: where on the x axis, the median and its spread. */
export interface Point {
  x: number;
  value: number;
  min: number;
  max: number;
}

export interface Series {
  name: string;
  colour: string;
  points: Point[];
}

export interface Plot {
  title: string;
  /** What the y axis counts. */
  unit: string;
  /** Marks of the x axis, which is logarithmic. */
  ticks: { x: number; label: string }[];
  series: Series[];
}

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 64;
const RIGHT = 104;
const TOP = 48;
const BOTTOM = 48;
/** Labels nearer than this would touch. */
const LABEL_GAP = 15;

const STYLE = `text { font: 13px system-ui, sans-serif; fill: #333 }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #8884; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } }`;

/** A round number of which three to six make up `most`. */
export function step(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  const fits = [0.2, 0.5, 1, 2].find((s) => most / (s * power) <= 6);
  return (fits ?? 2) * power;
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1e4 ? `${value / 1e3} k` : String(value);
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Moves labels apart, keeping their order. */
export function spread(ys: number[]): number[] {
  const order = ys.map((_, i) => i).sort((a, b) => at(ys, a) - at(ys, b));
  const moved = [...ys];
  for (let k = 1; k < order.length; k++) {
    const [above, here] = [at(order, k - 1), at(order, k)];
    moved[here] = Math.max(at(moved, here), at(moved, above) + LABEL_GAP);
  }
  return moved;
}

const at = (list: number[], i: number) => list[i] as number;

/** Draws a plot. */
export function draw(plot: Plot): string {
  const values = plot.series.flatMap((s) => s.points.map((p) => p.max));
  const by = step(Math.max(...values));
  const top = Math.ceil(Math.max(...values) / by) * by;
  const logs = plot.ticks.map((t) => Math.log2(t.x));
  const [first, last] = [Math.min(...logs), Math.max(...logs)];
  const px = (x: number) =>
    LEFT + ((Math.log2(x) - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const py = (y: number) => TOP + (1 - y / top) * (HEIGHT - TOP - BOTTOM);
  const fixed = (n: number) => n.toFixed(1);

  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>${escaped(plot.title)}</title>`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="16" y="24">${escaped(plot.title)}</text>`,
    `<text x="16" y="${TOP - 8}">${escaped(plot.unit)}</text>`,
  ];
  for (let y = 0; y <= top; y += by) {
    out.push(
      `<path class="grid" d="M${LEFT} ${fixed(py(y))}H${WIDTH - RIGHT}"/>`,
      `<text x="${LEFT - 8}" y="${fixed(py(y) + 4)}" text-anchor="end">${short(y)}</text>`,
    );
  }
  for (const { x, label } of plot.ticks) {
    out.push(
      `<text x="${fixed(px(x))}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${escaped(label)}</text>`,
    );
  }
  out.push(
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">flows</text>`,
  );
  const ends = spread(plot.series.map((s) => py(s.points.at(-1)?.value ?? 0)));
  plot.series.forEach(({ name, colour, points }, i) => {
    const line = points.map((p) => `${fixed(px(p.x))} ${fixed(py(p.value))}`);
    out.push(
      `<g stroke="${colour}" fill="none" stroke-width="2">`,
      `<path d="M${line.join('L')}"/>`,
      ...points.map(
        (p) =>
          `<path stroke-width="1" d="M${fixed(px(p.x))} ${fixed(py(p.min))}V${fixed(py(p.max))}"/>` +
          `<circle cx="${fixed(px(p.x))}" cy="${fixed(py(p.value))}" r="3" fill="${colour}"/>`,
      ),
      '</g>',
      `<text x="${WIDTH - RIGHT + 10}" y="${fixed(at(ends, i) + 4)}" style="fill:${colour}">${escaped(name)}</text>`,
    );
  });
  return `${out.join('\n')}\n</svg>\n`;
}
