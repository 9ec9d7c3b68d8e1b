// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One tenant floods, another goes on working: its established flows keep a
 * steady rate, and it opens new ones, each tried three times as a TCP SYN
 * would be. The flood is about half of the new flows that the kernel's gateway
 * takes on a small machine: a link that is simply full is unfair whoever sits
 * behind it, and here the flood attacks what a NAT keeps: flows, ports,
 * fragments. Both sides have room for 262,144 flows, the kernel's default,
 * and no limit is set that is not a default.
 */

import type { Row } from '../report.js';
import { number } from './addresses.js';
import { Figures, say } from './figures.js';
import { openAll } from './open.js';
import { SMALL, type Stream, type Traffic, udpFlows } from './traffic.js';

const FLOOD = 0;
const STEADY = 1;
const OPENING = 2;
const FLOOD_PPS = 80_000;
const STEADY_PPS = 30_000;
const STEADY_FLOWS = 64;
/** New flows of the second tenant, and how often each is tried. */
const OPENED = 1000;
const TRIES = 3;
const WARM_MS = 200;
const BUILD_UP_MS = 2000;
const MEASURE_MS = 2000;
const DEFAULTS = { flows: 1 << 18, udpSeconds: 300 };
const ROUNDS = 3;

const every = (pps: number) => Math.round(1e9 / pps);
const base: Stream = {
  ...udpFlows(1 << 16, SMALL),
  interval: every(FLOOD_PPS),
};
const any = { order: 2, flows: 1, src_mask: 0xffff };

/** What the first tenant does. */
const FLOODS: Record<string, Stream> = {
  // Sources and ports at random, one server.
  syn: {
    ...base,
    ...any,
    src: number('10.4.0.0'),
    proto: 6,
    sport_shift: 16,
    dst_mask: 0,
  },
  // More flows to one endpoint than a public address has ports.
  exhaust: { ...base, order: 1, flows: 1 << 18, dst_mask: 0, dport: 53 },
  // A new destination with each packet.
  spray: { ...base, ...any, dst_mask: 0x1ffff, dst_shift: 8, src_mask: 255 },
  // First fragments of datagrams that never come to an end.
  fragment: { ...base, order: 1, fragment: 0x2000 },
};

interface Tenant {
  traffic: Traffic;
  /** Share of its packets that arrive while nobody floods. */
  alone: number;
}

async function arriving(traffic: Traffic): Promise<number> {
  const ran = await traffic.run('out', WARM_MS, MEASURE_MS);
  return (ran.good[STEADY] as number) / (ran.sent[STEADY] as number);
}

/** Makes the second tenant's flows, and looks how it fares on its own. */
async function settle(traffic: Traffic): Promise<Tenant> {
  const steady = udpFlows(STEADY_FLOWS, SMALL, 1);
  const paced = { ...steady, interval: every(STEADY_PPS) };
  await traffic.establish(STEADY, paced, STEADY_FLOWS);
  return { traffic, alone: await arriving(traffic) };
}

async function flood({ traffic, alone }: Tenant, name: string) {
  await traffic.set(FLOOD, FLOODS[name] as Stream);
  await traffic.run('out', 0, BUILD_UP_MS);
  await traffic.forget();
  await traffic.set(OPENING, {
    ...udpFlows(1 << 10, SMALL, 1),
    src: number('10.5.2.0'),
    dport: fresh++,
    order: 1,
    interval: every((OPENED * TRIES * 1000) / MEASURE_MS),
    limit: (1 << 10) * TRIES,
  });
  const share = (await arriving(traffic)) / alone;
  const opened = await traffic.known(OPENING, OPENED);
  await traffic.off(FLOOD);
  await traffic.off(OPENING);
  return { share, opened };
}

/** A port that no flow of this run has gone to. */
let fresh = 5000;

/** Rows `fair.FLOOD.KIND` (share kept) and `fair.FLOOD.opened.KIND`. */
export async function benchFair(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of Object.keys(FLOODS)) {
    // A fresh gateway for each flood: tables as full as this one makes them.
    const opened = await openAll(DEFAULTS);
    const share = new Figures();
    const flows = new Figures();
    try {
      const tenants: Tenant[] = [];
      for (const traffic of opened.traffics) {
        tenants.push(await settle(traffic));
      }
      for (let round = 0; round < ROUNDS; round++) {
        for (const tenant of tenants) {
          const { kind } = tenant.traffic.gateway;
          const outcome = await flood(tenant, name);
          say(
            `fair.${name}`,
            kind,
            `keeps ${(outcome.share * 100).toFixed(1)} %, ` +
              `opens ${outcome.opened} of ${OPENED}`,
          );
          share.add(`fair.${name}`, kind, outcome.share);
          flows.add(`fair.${name}.opened`, kind, outcome.opened);
        }
      }
      rows.push(...share.rows('share'), ...flows.rows('flows'));
      if (name === 'fragment') rows.push(...opened.rows);
    } finally {
      opened.close();
    }
  }
  return rows;
}
