// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Established flows: packets per second of gateway CPU time, by size,
 * direction and manner of NAT, and by number of flows. All gateways are up at
 * once and take turns, so that whatever else the machine does hits all alike.
 */

import type { Row } from '../report.js';
import { Figures, say } from './figures.js';
import { type Opened, openAll } from './open.js';
import {
  aipFlows,
  type Direction,
  perCoreSecond,
  type Ran,
  SMALL,
  type Stream,
  type Traffic,
  udpFlows,
} from './traffic.js';

const ROUNDS = 3;
const WARM_MS = 150;
const MEASURE_MS = 400;
const FLOWS = 1024;
const SIZES: [string, number][] = [
  ['64', SMALL],
  ['1400', 1400],
];
/** Numbers of flows of the plots; the first is what the table is made with. */
export const SCALE: [string, number][] = [
  ['1k', 1 << 10],
  ['32k', 1 << 15],
  ['256k', 1 << 18],
  ['1m', 1 << 20],
];
/** Room for the largest number, and some. */
const SETTINGS = { flows: 1 << 21, udpSeconds: 600 };

interface Case {
  id: string;
  direction: Direction;
  stream: Stream;
}

function cases(): Case[] {
  const flows: [string, (flows: number, bytes: number) => Stream][] = [
    ['snat', udpFlows],
    ['aip', aipFlows],
  ];
  return SIZES.flatMap(([size, bytes]) =>
    flows.flatMap(([nat, make]) =>
      (['out', 'in'] as const).map((direction) => ({
        id: `pps.${size}.${direction}.${nat}`,
        direction,
        stream: make(FLOWS, bytes),
      })),
    ),
  );
}

/** Says what was measured; a packet that came out wrong is worth a word. */
function tell(id: string, { gateway }: Traffic, ran: Ran): void {
  const busy = ran.cpu.reduce((a, b) => a + b, 0) / 1e9 / ran.seconds;
  const bad = ran.bad.reduce((a, b) => a + b, 0);
  const rate = Math.round(perCoreSecond(ran) / 1000);
  const wrong = bad > 0 ? `, ${bad} WRONG` : '';
  say(
    id,
    gateway.kind,
    `${rate}k a core-second, core ${busy.toFixed(2)} busy${wrong}`,
  );
}

async function measure(each: Case, traffic: Traffic, figures: Figures) {
  await traffic.set(0, each.stream);
  const ran = await traffic.run(each.direction, WARM_MS, MEASURE_MS);
  tell(each.id, traffic, ran);
  figures.add(each.id, traffic.gateway.kind, perCoreSecond(ran));
}

async function table({ traffics }: Opened): Promise<Row[]> {
  const figures = new Figures();
  const all = cases();
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of all) {
      for (const traffic of traffics) {
        await traffic.establish(0, each.stream, FLOWS);
        await measure(each, traffic, figures);
      }
    }
  }
  return figures.rows('packets/s');
}

/** Out, 64 bytes, by number of flows; `in` too at the largest. */
async function scale({ traffics }: Opened): Promise<Row[]> {
  const figures = new Figures();
  for (const [name, flows] of SCALE) {
    const stream = udpFlows(flows, SMALL);
    for (const traffic of traffics) {
      await traffic.establish(0, stream, flows);
    }
    const directions = name === '1m' ? (['out', 'in'] as const) : ['out'];
    for (let round = 0; round < ROUNDS; round++) {
      for (const direction of directions as Direction[]) {
        for (const traffic of traffics) {
          const id = `pps.64.${direction}.snat/${name}`;
          await measure({ id, direction, stream }, traffic, figures);
        }
      }
    }
  }
  return figures.rows('packets/s', (id, kind) => id.replace('/', `.${kind}.`));
}

/** Runs both. */
export async function benchPps(): Promise<Row[]> {
  const opened = await openAll(SETTINGS);
  try {
    return [...(await table(opened)), ...(await scale(opened)), ...opened.rows];
  } finally {
    opened.close();
  }
}
