// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One gateway between a compute node and the Internet, in three network
 * namespaces: `cn`, `gw`, `inet`. Everything is removed by `down`, which also
 * runs when the benchmark is interrupted.
 *
 * Core 0 belongs to the ends, core 1 to the gateway. Threaded NAPI keeps the
 * gateway's receive work in threads that can be pinned and timed.
 */

import {
  type ChildProcess,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as plan from './addresses.js';

export const ENDS_CORE = 0;
export const GATEWAY_CORE = 1;
/** Number of the ends' devices; bench/wire.bpf.c has it too. */
const LINK = 100;
const ENDS = ['cn', 'gw', 'inet'] as const;
export type End = (typeof ENDS)[number];

/** Runs a shell script; throws with what it printed. */
export function sh(script: string, input?: string): string {
  return execFileSync('sh', ['-ec', script], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
}

const raised = new Set<Lab>();

/** Takes down every lab there is. */
export function downAll(): void {
  for (const lab of raised) lab.down();
}

/** The namespaces of one gateway, and processes in them. */
export class Lab {
  /** The gateway's devices; their names are unique so that threads are too. */
  readonly underlay: string;
  readonly external: string;
  readonly #prefix: string;
  readonly #children: ChildProcess[] = [];

  constructor(name: string) {
    this.#prefix = `vxb-${name}`;
    this.underlay = `${name}-u1`.slice(-15);
    this.external = `${name}-e1`.slice(-15);
  }

  ns(end: End): string {
    return `${this.#prefix}-${end}`;
  }

  /** Runs a script in a namespace, with its own /sys. */
  in(end: End, script: string, input?: string): string {
    return sh(`ip netns exec ${this.ns(end)} sh -ec '${script}'`, input);
  }

  /** `ip` commands for a namespace, one a line. */
  ip(end: End, lines: string): void {
    sh(`ip -n ${this.ns(end)} -batch -`, lines.replaceAll(/^\s+/gm, ''));
  }

  up(): void {
    this.down();
    raised.add(this);
    for (const end of ENDS) {
      sh(`ip netns add ${this.ns(end)}`);
      this.ip(end, 'link set lo up\n');
      this.in(end, 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1');
    }
    const { underlay: u1, external: e1 } = this;
    // An end's device gets its number only where it is made.
    this.ip(
      'cn',
      `link add u0 index ${LINK} address ${plan.CN_MAC} type veth peer name ${u1} address ${plan.GATEWAY_MAC} netns ${this.ns('gw')}\n`,
    );
    this.ip(
      'inet',
      `link add e0 index ${LINK} address ${plan.INTERNET_MAC} type veth peer name ${e1} address ${plan.EXTERNAL_MAC} netns ${this.ns('gw')}\n`,
    );
    this.ip(
      'gw',
      `addr add ${plan.GATEWAY}/24 dev ${u1}
       addr add ${plan.EXTERNAL}/24 dev ${e1}
       link set ${u1} up
       link set ${e1} up
       route add default via ${plan.INTERNET}
       neigh replace ${plan.INTERNET} lladdr ${plan.INTERNET_MAC} dev ${e1} nud permanent
       neigh replace ${plan.CN} lladdr ${plan.CN_MAC} dev ${u1} nud permanent
      `,
    );
    this.#cn();
    this.ip(
      'inet',
      `addr add ${plan.INTERNET}/24 dev e0
       addr add ${plan.SERVER}/32 dev lo
       link set e0 up
       route add 3.3.0.0/16 via ${plan.EXTERNAL} src ${plan.SERVER}
       neigh replace ${plan.EXTERNAL} lladdr ${plan.EXTERNAL_MAC} dev e0 nud permanent
      `,
    );
    // Without NAPI on both ends XDP cannot send into a veth.
    this.in('cn', 'ethtool -K u0 gro on');
    this.in('inet', 'ethtool -K e0 gro on');
    this.in('gw', `ethtool -K ${u1} gro on; ethtool -K ${e1} gro on`);
  }

  /** One host with real sockets, 10.4.1.1, on the kernel's VXLAN device. */
  #cn(): void {
    this.ip(
      'cn',
      `addr add ${plan.CN}/24 dev u0
       link set u0 up
       neigh replace ${plan.GATEWAY} lladdr ${plan.GATEWAY_MAC} dev u0 nud permanent
       link add vx1 address ${plan.HOST_MAC} mtu 1450 type vxlan id 1 local ${plan.CN} dev u0 dstport 4789 nolearning
       addr add 10.4.1.1/16 dev vx1
       link set vx1 up
       neigh replace 10.4.255.254 lladdr ${plan.ROUTER_MAC} dev vx1 nud permanent
       route add 198.18.0.0/15 via 10.4.255.254
      `,
    );
    this.in(
      'cn',
      `bridge fdb append ${plan.ROUTER_MAC} dev vx1 dst ${plan.GATEWAY}`,
    );
  }

  /** Whether the gateway's receive work has threads of its own. */
  threaded(on: boolean): void {
    for (const device of [this.underlay, this.external]) {
      this.in('gw', `echo ${Number(on)} > /sys/class/net/${device}/threaded`);
    }
  }

  /** Starts a program in a namespace. */
  start(end: End, program: string, ...args: string[]): ChildProcess {
    const child = spawn(
      'ip',
      ['netns', 'exec', this.ns(end), program, ...args],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    this.#children.push(child);
    return child;
  }

  /** Runs a program to its end without blocking; its output. */
  async run(end: End, program: string, ...args: string[]): Promise<string> {
    const child = this.start(end, program, ...args);
    let out = '';
    let err = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${program} ended ${code}: ${err}${out}`);
    return out;
  }

  /** The kernel threads that receive for the gateway. */
  napiThreads(): number[] {
    return readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && this.#isNapi(pid))
      .map(Number);
  }

  #isNapi(pid: string): boolean {
    const name = commOf(`/proc/${pid}/comm`);
    return [this.underlay, this.external].some((device) =>
      name.startsWith(`napi/${device}-`),
    );
  }

  /** Ends what was started here and removes the namespaces. */
  down(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.length = 0;
    for (const end of ENDS) {
      // A process that is just ending can keep the name for a moment.
      for (let i = 0; i < 5 && existsSync(`/run/netns/${this.ns(end)}`); i++) {
        spawnSync('ip', ['netns', 'del', this.ns(end)], { stdio: 'ignore' });
      }
    }
    raised.delete(this);
  }
}

function commOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return ''; // it has ended meanwhile
  }
}

/** Threads of a process whose name begins so. */
export function threadsOf(pid: number, name: string): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .filter((tid) => commOf(`/proc/${pid}/task/${tid}/comm`).startsWith(name))
    .map(Number);
}

/** The threads that run what soft interrupts leave over on a core. */
export function ksoftirqd(core: number): number[] {
  return readdirSync('/proc')
    .filter((pid) => commOf(`/proc/${pid}/comm`) === `ksoftirqd/${core}`)
    .map(Number);
}

/** Makes threads real-time, or ordinary with priority 0. */
export function schedule(threads: number[], priority: number): void {
  const policy = priority > 0 ? '-f' : '-o';
  for (const tid of threads) sh(`chrt ${policy} -p ${priority} ${tid}`);
}

/** Pins real-time threads to a core. */
export function pin(threads: number[], core: number, priority: number): void {
  for (const tid of threads) sh(`taskset -pc ${core} ${tid}`);
  schedule(threads, priority);
}

/** The lines that a child prints, one at a time. */
export function lines(child: ChildProcess): AsyncIterator<string> {
  if (child.stdout === null) throw new Error('the child has no output');
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}
