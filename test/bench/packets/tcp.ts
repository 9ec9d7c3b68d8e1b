// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Bulk TCP, one stream of iperf3. `wire`: the ends send MTU-sized frames, and
 * they come as from a network card (wire.ts); the figure is Gbit/s for a second
 * of gateway CPU. `gso`: virtual links as they come, with packets of 64 KiB;
 * the figure is throughput.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Row } from '../report.js';
import * as plan from './addresses.js';
import { Figures, say } from './figures.js';
import type { Gateway } from './gateway.js';
import { ENDS_CORE, GATEWAY_CORE } from './lab.js';
import { openGateways } from './open.js';
import { asFromCards } from './wire.js';

const ROUNDS = 3;
const SECONDS = '2';
const SETTINGS = { flows: 1 << 16, udpSeconds: 600 };
type Mode = 'wire' | 'gso';
const DIRECTIONS = ['out', 'in'] as const;
/** Where the ends run, real-time; the gateway has the other core. */
const IPERF = ['-r', '1', 'taskset', '-c', String(ENDS_CORE), 'iperf3'];

interface Iperf {
  end: { sum_received: { bytes: number; seconds: number } };
  error?: string;
}

/** Receives a device's packets on the cores of a mask; 0: where they are. */
const steer = (device: string, mask: number) =>
  `echo ${mask} > /sys/class/net/${device}/queues/rx-0/rps_cpus`;

/**
 * The ends' offloads, and each stack on its own core. A veth whose peer sends
 * super-packets does not use NAPI: then steering is what moves the work to the
 * gateway's core.
 */
function prepare({ lab }: Gateway, mode: Mode): void {
  const state = mode === 'gso' ? 'on' : 'off';
  const offload = (device: string) =>
    `ethtool -K ${device} tx ${state} tso ${state} gso ${state} >/dev/null`;
  if (mode === 'wire') asFromCards(lab);
  const [cn, inet] = mode === 'wire' ? ['w0', 'w0'] : ['u0', 'e0'];
  lab.in('cn', `${offload(cn)}; ${offload('vx1')}; ${steer('u0', 1)}`);
  lab.in('inet', `${offload(inet)}; ${steer('e0', 1)}`);
  const gateway = mode === 'gso' ? 1 << GATEWAY_CORE : 0;
  for (const device of [lab.underlay, lab.external]) {
    lab.in('gw', steer(device, gateway));
  }
}

function cpuSeconds(threads: number[]): number {
  const ns = threads.map((tid) =>
    Number(readFileSync(`/proc/${tid}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((a, b) => a + b, 0) / 1e9;
}

async function transfer(
  gateway: Gateway,
  direction: (typeof DIRECTIONS)[number],
) {
  const threads = gateway.threads('threaded');
  const before = cpuSeconds(threads);
  const words = ['-c', plan.SERVER, '-B', '10.4.1.1', '-t', SECONDS, '-J'];
  if (direction === 'in') words.push('-R');
  const out = await gateway.lab.run('cn', 'chrt', ...IPERF, ...words);
  const { end } = JSON.parse(out) as Iperf;
  // In `gso` mode the kernel's work is in no thread of its own.
  const cpu = cpuSeconds(threads) - before;
  const gigabits = (end.sum_received.bytes * 8) / 1e9;
  return {
    throughput: gigabits / end.sum_received.seconds,
    perCore: gigabits / cpu,
  };
}

async function measure(gateway: Gateway, mode: Mode, figures: Figures) {
  for (const direction of DIRECTIONS) {
    const id = `tcp.${mode}.${direction}`;
    const { throughput, perCore } = await transfer(gateway, direction);
    const rate = mode === 'wire' ? `, ${perCore.toFixed(1)} a core-second` : '';
    say(id, gateway.kind, `${throughput.toFixed(2)} Gbit/s${rate}`);
    figures.add(id, gateway.kind, mode === 'wire' ? perCore : throughput);
  }
}

async function inMode(mode: Mode): Promise<Row[]> {
  const opened = await openGateways(SETTINGS);
  const figures = new Figures();
  try {
    for (const gateway of opened.gateways) {
      prepare(gateway, mode);
      const words = [...IPERF, '--forceflush', '-s', '-B', plan.SERVER];
      const server = gateway.lab.start('inet', 'chrt', ...words);
      if (server.stdout) await once(server.stdout, 'data');
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const gateway of opened.gateways) {
        await measure(gateway, mode, figures);
      }
    }
    const unit = mode === 'wire' ? 'Gbit/core-s' : 'Gbit/s';
    return [...figures.rows(unit), ...(mode === 'gso' ? opened.rows : [])];
  } finally {
    opened.close();
  }
}

/** Rows `tcp.MODE.DIRECTION.KIND`. */
export async function benchTcp(): Promise<Row[]> {
  return [...(await inMode('wire')), ...(await inMode('gso'))];
}
