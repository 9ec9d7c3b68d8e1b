// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A small cloud in network namespaces, for tests of the real data path:
 *
 *   vnet 1 a 10.4.4.10 --\
 *                         cn1 172.16.9.10 --\           e1          e0
 *   vnet 2 b 10.4.4.10 --/                   br0 [gw] 198.51.100.1--2 [inet]
 *   vnet 1 c 10.4.4.20 --- cn2 172.16.9.11 --/  172.16.9.1    203.0.113.80
 *
 * Instances are namespaces that hold the kernel's own VXLAN device, whose
 * socket stays in the compute node's namespace. `a` and `b` find the router
 * by ARP (a VXLAN flood entry leads to the gateway), `c` by static entries,
 * as varpd would have it. All names carry a prefix; `down` removes them all.
 */

import {
  type ChildProcess,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROUTER_MAC = '90:b8:d0:00:00:01';
export const GATEWAY_UL3 = '172.16.9.1';
export const INTERNET = '203.0.113.80';
export const VNET1_PUBLIC = '3.3.3.2';
export const VNET2_PUBLIC = '3.3.3.3';
export const AIP = '3.3.3.4';

export interface Instance {
  name: string;
  vnet: number;
  ip: string;
  mac: string;
  ul3: string;
  cn: string;
}

export const A: Instance = {
  name: 'a',
  vnet: 1,
  ip: '10.4.4.10',
  mac: '90:b8:d0:aa:00:01',
  ul3: '172.16.9.10',
  cn: 'cn1',
};
export const B: Instance = {
  name: 'b',
  vnet: 2,
  ip: '10.4.4.10',
  mac: '90:b8:d0:aa:00:02',
  ul3: '172.16.9.10',
  cn: 'cn1',
};
export const C: Instance = {
  name: 'c',
  vnet: 1,
  ip: '10.4.4.20',
  mac: '90:b8:d0:aa:00:03',
  ul3: '172.16.9.11',
  cn: 'cn2',
};

export interface Output {
  status: number | null;
  text: string;
}

/** The namespaces, and processes in them. */
export class Lab {
  readonly #prefix: string;
  readonly #children: ChildProcess[] = [];

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Full name of a namespace. */
  ns(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  /** Runs `ip` with words; throws with its message. */
  ip(words: string): void {
    execFileSync('ip', words.split(' '), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  /** Runs a command in a namespace to its end. */
  run(name: string, ...command: string[]): Output {
    const done = spawnSync('ip', ['netns', 'exec', this.ns(name), ...command], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    return { status: done.status, text: done.stdout + done.stderr };
  }

  /** Starts a compiled helper of this folder in a namespace. */
  start(name: string, helper: string, ...args: string[]): ChildProcess {
    const script = fileURLToPath(new URL(helper, import.meta.url));
    const child = spawn(
      'ip',
      ['netns', 'exec', this.ns(name), process.execPath, script, ...args],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    this.#children.push(child);
    return child;
  }

  /** Runs `peer.js` in a namespace; its one line of output, parsed. */
  async peer(name: string, ...args: string[]): Promise<PeerAnswer> {
    const child = this.start(name, 'peer.js', ...args);
    const closed = once(child, 'close');
    let answer: PeerAnswer = { error: 'no answer' };
    for await (const line of lines(child)) answer = JSON.parse(line);
    await closed;
    return answer;
  }

  up(): void {
    this.down();
    for (const name of ['gw', 'inet', 'cn1', 'cn2', 'a', 'b', 'c']) {
      this.ip(`netns add ${this.ns(name)}`);
      this.ip(`-n ${this.ns(name)} link set lo up`);
    }
    this.#underlay();
    this.#external();
    for (const instance of [A, B, C]) this.#instance(instance);
    this.run('gw', 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  }

  #underlay(): void {
    const gw = this.ns('gw');
    this.ip(`-n ${gw} link add br0 type bridge`);
    this.ip(`-n ${gw} addr add ${GATEWAY_UL3}/24 dev br0`);
    this.ip(`-n ${gw} link set br0 up`);
    for (const [cn, ip] of [
      ['cn1', A.ul3],
      ['cn2', C.ul3],
    ]) {
      const ns = this.ns(cn as string);
      this.ip(`-n ${ns} link add u0 type veth peer name ${cn} netns ${gw}`);
      this.ip(`-n ${ns} addr add ${ip}/24 dev u0`);
      this.ip(`-n ${ns} link set u0 up`);
      this.ip(`-n ${gw} link set ${cn} master br0 up`);
    }
  }

  #external(): void {
    const [gw, inet] = [this.ns('gw'), this.ns('inet')];
    this.ip(`-n ${gw} link add e1 type veth peer name e0 netns ${inet}`);
    this.ip(`-n ${gw} addr add 198.51.100.1/24 dev e1`);
    this.ip(`-n ${gw} link set e1 up`);
    this.ip(`-n ${gw} route add default via 198.51.100.2`);
    this.ip(`-n ${inet} addr add 198.51.100.2/24 dev e0`);
    this.ip(`-n ${inet} addr add ${INTERNET}/32 dev lo`);
    this.ip(`-n ${inet} link set e0 up`);
    // The only way back: a reply to a private address has no route here.
    this.ip(`-n ${inet} route add 3.3.3.0/28 via 198.51.100.1 src ${INTERNET}`);
  }

  #instance(i: Instance): void {
    const [cn, ns, dev] = [this.ns(i.cn), this.ns(i.name), `vx${i.vnet}`];
    this.ip(
      `-n ${cn} link add ${dev} address ${i.mac} type vxlan id ${i.vnet}` +
        ` dstport 4789 local ${i.ul3} dev u0 nolearning`,
    );
    this.ip(`-n ${cn} link set ${dev} netns ${ns}`);
    this.ip(`-n ${ns} addr add ${i.ip}/22 dev ${dev}`);
    this.ip(`-n ${ns} link set ${dev} up`);
    this.ip(`-n ${ns} route add default via 10.4.4.1`);
    const mac = i === C ? ROUTER_MAC : '00:00:00:00:00:00';
    this.run(
      i.name,
      'bridge',
      'fdb',
      'append',
      mac,
      'dev',
      dev,
      'dst',
      GATEWAY_UL3,
    );
    if (i === C) {
      this.ip(
        `-n ${ns} neigh replace 10.4.4.1 lladdr ${ROUTER_MAC} dev ${dev}` +
          ' nud permanent',
      );
    }
  }

  /** Ends what was started here and removes the namespaces. */
  down(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.length = 0;
    for (const name of ['a', 'b', 'c', 'cn1', 'cn2', 'inet', 'gw']) {
      spawnSync('ip', ['netns', 'del', this.ns(name)], { stdio: 'ignore' });
    }
  }
}

/** What `peer.js` prints. */
export interface PeerAnswer {
  /** The address that the server saw, as `ip:port`. */
  seen?: string;
  bytes?: number;
  seconds?: number;
  packets?: number;
  error?: string;
}

/** The lines that a child process prints. */
export function lines(child: ChildProcess): AsyncIterable<string> {
  if (child.stdout === null) throw new Error('the child has no output');
  return createInterface({ input: child.stdout });
}
