// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Idle round trips: one datagram out and its answer in, through a gateway that
 * has nothing else to do. Both ends and the gateway share one core: on a
 * virtual machine a wake-up across cores costs more than the whole trip, and
 * would measure the hypervisor.
 */

import { once } from 'node:events';
import { quantile, type Row, row } from '../report.js';
import * as plan from './addresses.js';
import { Figures, say } from './figures.js';
import type { Gateway } from './gateway.js';
import { GATEWAY_CORE } from './lab.js';
import { openGateways } from './open.js';
import { RR } from './traffic.js';

const ROUNDS = 3;
const TRIPS = 2500;
const PORT = '7007';
const SETTINGS = { flows: 1 << 16, udpSeconds: 600 };
/** Real-time, so that the rest of the machine does not get in between. */
const SAME_CORE = ['-f', '1', 'taskset', '-c', String(GATEWAY_CORE), RR];

interface Asked {
  us: number[];
  lost: number;
}

/** Asks the server from an address of one of the machines. */
async function trips(
  { lab }: Gateway,
  machine: 'cn' | 'inet',
  from: string,
): Promise<Asked> {
  const words = ['ask', plan.SERVER, PORT, from, String(TRIPS)];
  const out = await lab.run(machine, 'chrt', ...SAME_CORE, ...words);
  return JSON.parse(out) as Asked;
}

async function ask(gateway: Gateway): Promise<Asked> {
  const { kind } = gateway;
  gateway.threads('inline');
  const asked = await trips(gateway, 'cn', '10.4.1.1');
  if (asked.us.length < TRIPS / 2) {
    throw new Error(`rtt by ${kind}: ${asked.lost} were not answered`);
  }
  const p50 = quantile(asked.us, 0.5).toFixed(1);
  say('rtt', kind, `p50 ${p50} us, ${asked.lost} of ${TRIPS} lost`);
  return asked;
}

/**
 * Rows `rtt.p50.KIND` and `rtt.p99.KIND`, and `.ends`: the server asked from
 * its own machine, which is what no gateway can take away.
 */
export async function benchRtt(): Promise<Row[]> {
  const opened = await openGateways(SETTINGS);
  const figures = new Figures();
  const ends: number[][] = [];
  try {
    for (const { lab } of opened.gateways) {
      // As from a network card: with its checksum finished.
      lab.in('cn', 'ethtool -K u0 tx off; ethtool -K vx1 tx off');
      lab.in('inet', 'ethtool -K e0 tx off');
      const server = lab.start('inet', 'chrt', ...SAME_CORE, 'serve', PORT);
      if (server.stdout) await once(server.stdout, 'data');
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const gateway of opened.gateways) {
        const { us } = await ask(gateway);
        figures.add('rtt.p50', gateway.kind, quantile(us, 0.5));
        figures.add('rtt.p99', gateway.kind, quantile(us, 0.99));
        if (gateway.kind !== 'kernel') continue;
        ends.push((await trips(gateway, 'inet', plan.SERVER)).us);
      }
    }
    const alone = [0.5, 0.99].map((part) =>
      row(
        `rtt.p${part * 100}.ends`,
        'us',
        ends.map((us) => quantile(us, part)),
      ),
    );
    return [...figures.rows('us'), ...alone, ...opened.rows];
  } finally {
    opened.close();
  }
}
