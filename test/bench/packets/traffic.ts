// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Drives the native traffic program (native/vxlnat/bench/traffic.cc) in a lab.
 */

import { type ChildProcess, execFileSync } from 'node:child_process';
import * as plan from './addresses.js';
import type { Gateway } from './gateway.js';
import { lines } from './lab.js';

const BUILT = 'native/vxlnat/build-release';

/** Builds the programs; needs clang and libbpf. */
export function buildTraffic(): void {
  execFileSync(
    'make',
    ['--no-print-directory', '-C', 'native/vxlnat', 'traffic'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

export const RR = `${BUILT}/bench-rr`;
export const WIRE = `${BUILT}/bench/wire.bpf.o`;

/** Keys of a stream; native/vxlnat/bench/stream.cc has the list. */
export type Stream = Record<string, number>;

/** What happened in the measured part of a run. */
export interface Ran {
  seconds: number;
  sent: number[];
  good: number[];
  bad: number[];
  /** IPv4 packets at a sink that belong to no stream. */
  other: number;
  /** Nanoseconds of each of the gateway's threads. */
  cpu: number[];
}

export type Direction = 'out' | 'in';

const OUTER: Stream = {
  cn_ip: plan.number(plan.CN),
  gw_ip: plan.number(plan.GATEWAY),
  cn_mac: plan.macNumber(plan.CN_MAC),
  gw_mac: plan.macNumber(plan.GATEWAY_MAC),
  ext_mac: plan.macNumber(plan.EXTERNAL_MAC),
  inet_mac: plan.macNumber(plan.INTERNET_MAC),
  router_mac: plan.macNumber(plan.ROUTER_MAC),
  host_mac: plan.macNumber(plan.HOST_MAC),
};

/** UDP flows of a tenant's 256 hosts: host, then port, varies. */
export function udpFlows(flows: number, bytes: number, tenant = 0): Stream {
  const { vni, net, snat } = plan.TENANTS[tenant] as (typeof plan.TENANTS)[0];
  return {
    vni,
    flows,
    bytes,
    src: plan.number(`${net}.1.0`),
    src_mask: plan.HOSTS - 1,
    sport: 1024,
    sport_shift: 8,
    sport_mask: 0x7fff,
    dst: plan.number('198.18.0.0'),
    dst_mask: 255,
    dport: 443,
    public: plan.number(snat),
  };
}

/** The same flows from hosts that have an address each. */
export function aipFlows(flows: number, bytes: number): Stream {
  return {
    ...udpFlows(flows, bytes),
    src: plan.number(plan.AIP_INSIDE),
    public: plan.number(plan.AIP_OUTSIDE),
    public_mask: plan.HOSTS - 1,
  };
}

/** Length of an IP packet in an Ethernet frame of 64 bytes. */
export const SMALL = 50;
/** Nobody is in a hurry while flows are made: packets a second. */
const PRIMING = 150_000;
/** A busy machine needs more than one pass to make them all. */
const ATTEMPTS = 10;

/** The traffic program in one lab. */
export class Traffic {
  readonly gateway: Gateway;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(gateway: Gateway) {
    this.gateway = gateway;
    const { lab } = gateway;
    this.#child = lab.start(
      'cn',
      `${BUILT}/bench-traffic`,
      `${BUILT}/bench/traffic.bpf.o`,
      ...[lab.ns('cn'), 'u0', lab.ns('inet'), 'e0'],
    );
    this.#child.stderr?.pipe(process.stderr);
    this.#lines = lines(this.#child);
  }

  static async start(gateway: Gateway): Promise<Traffic> {
    const traffic = new Traffic(gateway);
    await traffic.#answer();
    return traffic;
  }

  async #answer(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the traffic program has ended');
    const answer = JSON.parse(value) as Record<string, unknown>;
    if ('error' in answer) throw new Error(`traffic: ${answer['error']}`);
    return answer;
  }

  #tell(line: string): Promise<Record<string, unknown>> {
    this.#child.stdin?.write(`${line}\n`);
    return this.#answer();
  }

  /** Makes a stream that runs send. */
  async set(id: number, stream: Stream): Promise<void> {
    const words = Object.entries({ ...OUTER, ...stream });
    await this.#tell(`set ${id} ${words.map((w) => w.join('=')).join(' ')}`);
  }

  async off(id: number): Promise<void> {
    await this.#tell(`off ${id}`);
  }

  async forget(): Promise<void> {
    await this.#tell('forget');
  }

  /** Flows of a stream that got through at least once. */
  async known(id: number, flows: number): Promise<number> {
    return (await this.#tell(`known ${id} ${flows}`))['known'] as number;
  }

  /** Sends every stream, for `warm` and then for `measure` milliseconds. */
  async run(direction: Direction, warm: number, measure: number): Promise<Ran> {
    const threads = this.gateway.threads('threaded').join(' ');
    const line = `run ${direction} ${warm} ${measure} ${threads}`;
    return (await this.#tell(line)) as unknown as Ran;
  }

  /** Makes all flows of a stream, so that a run finds them established. */
  async establish(id: number, stream: Stream, flows: number): Promise<void> {
    const interval = Math.round(1e9 / PRIMING);
    await this.set(id, { ...stream, order: 1, interval });
    let known = 0;
    for (let attempt = 0; known < flows && attempt < ATTEMPTS; attempt++) {
      await this.run('out', 0, (flows / PRIMING) * 1000 + 20);
      known = await this.known(id, flows);
    }
    if (known < flows) {
      throw new Error(`${this.gateway.kind}: ${known} of ${flows} flows made`);
    }
    await this.set(id, stream);
  }

  /** Detaches the sinks. */
  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await gone;
  }
}

/** Packets that a gateway's core forwards in a second of its own time. */
export function perCoreSecond(ran: Ran, id = 0): number {
  const busy = ran.cpu.reduce((a, b) => a + b, 0) / 1e9;
  return (ran.good[id] as number) / busy;
}
