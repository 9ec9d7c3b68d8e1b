// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * New flows: every packet is the first of its flow, as fast as the gateway
 * takes them. Flows live two seconds on both sides, so that the cost of ending
 * them is in the figure and no table ever fills.
 */

import type { Row } from '../report.js';
import { Figures, say } from './figures.js';
import { openAll } from './open.js';
import { perCoreSecond, SMALL, udpFlows } from './traffic.js';

const ROUNDS = 3;
const WARM_MS = 500;
const MEASURE_MS = 1500;
/** Come round again only when all have ended. */
const FLOWS = 1 << 23;
const SETTINGS = { flows: 1 << 22, udpSeconds: 2 };

/** Rows `newflow.KIND`: flows translated for a second of gateway CPU. */
export async function benchNewFlows(): Promise<Row[]> {
  const opened = await openAll(SETTINGS);
  const figures = new Figures();
  try {
    for (const traffic of opened.traffics) {
      await traffic.set(0, { ...udpFlows(FLOWS, SMALL), order: 1 });
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const traffic of opened.traffics) {
        const { kind } = traffic.gateway;
        const ran = await traffic.run('out', WARM_MS, MEASURE_MS);
        const rate = perCoreSecond(ran);
        say('newflow', kind, `${Math.round(rate / 1000)}k a core-second`);
        figures.add('newflow', kind, rate);
      }
    }
    return [...figures.rows('flows/s'), ...opened.rows];
  } finally {
    opened.close();
  }
}
