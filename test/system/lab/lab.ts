// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Network namespaces as a laboratory: machines, cables between them, compute
 * nodes made of the kernel's own VXLAN device, and processes in machines. All
 * names carry a prefix with the process's number, so that tests do not meet;
 * `down` removes what was made and ends what was started.
 */

import {
  type ChildProcess,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Output {
  status: number | null;
  text: string;
}

/** One end of a cable: a new device of a machine. */
export interface End {
  at: string;
  device: string;
  /** With the prefix's length. */
  address?: string;
}

/** A compute node's end of a fabric. */
export interface Instance {
  /** The machine that has the instance's addresses. */
  at: string;
  /** The machine and device that carry the tunnel, and its address there. */
  node: string;
  underlay: string;
  ul3: string;
  vnet: number;
  mac: string;
  /** With the prefix's length; the last is what it leaves by. */
  addresses: string[];
  router: { ip: string; mac: string; ul3: string };
  mtu?: number;
  /** Whether its datagrams have UDP checksums; most have none. */
  checksums?: boolean;
  /** Whether it asks for its router by ARP, or is told as varpd would. */
  asks?: boolean;
}

/** Runs a shell script to its end. @throws with what it printed */
export function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
}

/** The lines that a child process prints. */
export function lines(child: ChildProcess): AsyncIterable<string> {
  if (child.stdout === null) throw new Error('the child has no output');
  return createInterface({ input: child.stdout });
}

export class Lab {
  readonly #prefix: string;
  readonly #made: string[] = [];
  readonly #children: ChildProcess[] = [];
  #pins: string | null = null;

  /** @param name at most five characters, so that names fit everywhere */
  constructor(name: string) {
    this.#prefix = `${name}${process.pid}`;
    if (process.getuid?.() === 0) removeLeftovers(name);
  }

  /** Full name of a machine's namespace. */
  ns(machine: string): string {
    return `${this.#prefix}-${machine}`;
  }

  /** Makes machines, each with its loopback up. */
  add(...machines: string[]): void {
    for (const machine of machines) {
      const ns = this.ns(machine);
      this.#made.push(machine);
      sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`);
    }
  }

  /** Runs `ip` commands in a machine, one a line. @throws with what it says */
  ip(machine: string, commands: string): void {
    execFileSync('ip', ['-n', this.ns(machine), '-batch', '-'], {
      input: `${commands.replaceAll(/^\s+/gm, '')}\n`,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  }

  /**
   * Lays a cable and takes both ends up.
   * @param queues of each device, both ways
   */
  cable(a: End, b: End, queues = 1): void {
    const many = `numtxqueues ${queues} numrxqueues ${queues}`;
    sh(`ip -n ${this.ns(a.at)} link add ${a.device} ${many} type veth \
      peer name ${b.device} netns ${this.ns(b.at)} ${many}`);
    for (const { at, device, address } of [a, b]) {
      if (address) this.ip(at, `addr add ${address} dev ${device}`);
      this.ip(at, `link set ${device} up`);
    }
  }

  /** Has a device take what XDP sends to it, as a network card does. */
  takesXdp(machine: string, device: string): void {
    this.offload(machine, device, 'gro on');
  }

  /** Tells a device what is left to hardware, in ethtool's words. */
  offload(machine: string, device: string, words: string): void {
    sh(`ip netns exec ${this.ns(machine)} ethtool -K ${device} ${words}`);
  }

  /** Sets kernel parameters, in sysctl's words. */
  sysctl(machine: string, words: string): void {
    sh(`ip netns exec ${this.ns(machine)} sysctl -qw ${words}`);
  }

  /** Plugs an instance into its fabric, by the device `vx` and its vnet. */
  plugIn(instance: Instance): void {
    const { at, node, vnet, router, addresses } = instance;
    const [own, device] = [this.ns(at), `vx${vnet}`];
    const checksums = instance.checksums ? 'udpcsum' : 'noudpcsum';
    this.ip(
      node,
      `link add ${device} address ${instance.mac} type vxlan id ${vnet}` +
        ` local ${instance.ul3} dev ${instance.underlay} dstport 4789` +
        ` nolearning ${checksums}`,
    );
    // Its socket stays where it was made.
    if (at !== node) this.ip(node, `link set ${device} netns ${own}`);
    if (instance.mtu) this.ip(at, `link set ${device} mtu ${instance.mtu}`);
    for (const each of addresses) this.ip(at, `addr add ${each} dev ${device}`);
    this.ip(at, `link set ${device} up`);
    const source = addresses.at(-1)?.split('/')[0];
    this.ip(at, `route add default via ${router.ip} src ${source}`);
    const mac = instance.asks ? '00:00:00:00:00:00' : router.mac;
    sh(`bridge -n ${own} fdb append ${mac} dev ${device} dst ${router.ul3}`);
    if (!instance.asks) {
      this.ip(at, `neigh add ${router.ip} lladdr ${router.mac} dev ${device}`);
    }
  }

  /** A file system for what XDP leaves behind; its path. */
  mountPins(): string {
    if (this.#pins === null) {
      this.#pins = `/run/${this.#prefix}`;
      sh(`mkdir -p ${this.#pins}; mount -t bpf bpf ${this.#pins}`);
    }
    return this.#pins;
  }

  /** Counts what comes to a device from private addresses; see `leaked`. */
  watchForLeaks(machine: string, device: string): void {
    this.nft(
      machine,
      `table netdev lab {
        chain arrives {
          type filter hook ingress device ${device} priority -500
          ip saddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 } counter
        }
      }`,
    );
  }

  /** How many packets from private addresses have come to a watched device. */
  leaked(machine: string): number {
    const words = ['nft', '-j', 'list', 'table', 'netdev', 'lab'];
    const { text } = this.run(machine, ...words);
    const packets = /"packets": (\d+)/.exec(text)?.[1];
    if (packets === undefined) throw new Error(`nobody watches: ${text}`);
    return Number(packets);
  }

  /** Gives a machine nftables rules. */
  nft(machine: string, rules: string): void {
    execFileSync('ip', ['netns', 'exec', this.ns(machine), 'nft', '-f', '-'], {
      input: rules,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  }

  /** How many devices of a machine carry an XDP program. */
  attached(machine: string): number {
    return sh(`ip -n ${this.ns(machine)} link`).split('prog/xdp').length - 1;
  }

  /** Runs a command in a machine to its end. */
  run(machine: string, ...command: string[]): Output {
    const words = ['netns', 'exec', this.ns(machine), ...command];
    const done = spawnSync('ip', words, { encoding: 'utf8', timeout: 30_000 });
    return { status: done.status, text: done.stdout + done.stderr };
  }

  /** As `run`; what it printed. @throws when its status is not 0 */
  must(machine: string, ...command: string[]): string {
    const { status, text } = this.run(machine, ...command);
    if (status !== 0) throw new Error(`${command.join(' ')}: ${text}`);
    return text;
  }

  /**
   * Starts a program in a machine.
   * @param errors where its standard error goes
   */
  spawn(
    machine: string,
    command: string[],
    errors: 'pipe' | 'inherit' = 'pipe',
  ): ChildProcess {
    const words = ['netns', 'exec', this.ns(machine), ...command];
    const child = spawn('ip', words, { stdio: ['pipe', 'pipe', errors] });
    this.#children.push(child);
    return child;
  }

  /** Starts a compiled helper of the folder of system tests. */
  start(machine: string, helper: string, ...args: string[]): ChildProcess {
    const script = fileURLToPath(new URL(`../${helper}`, import.meta.url));
    return this.spawn(machine, [process.execPath, script, ...args], 'inherit');
  }

  /** Starts what answers `peer`; resolves when it does. */
  async serve(machine: string): Promise<void> {
    const server = this.start(machine, 'peer.js', 'serve');
    await lines(server)[Symbol.asyncIterator]().next();
  }

  /** Runs `peer.js` in a machine; its one line of output, parsed. */
  async peer(machine: string, ...args: string[]): Promise<PeerAnswer> {
    const child = this.start(machine, 'peer.js', ...args);
    const closed = once(child, 'close');
    let answer: PeerAnswer = { error: 'no answer' };
    for await (const line of lines(child)) answer = JSON.parse(line);
    await closed;
    return answer;
  }

  /** Ends what was started here and removes what was made. */
  down(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.length = 0;
    for (const machine of this.#made.splice(0)) {
      spawnSync('ip', ['netns', 'del', this.ns(machine)], { stdio: 'ignore' });
    }
    if (this.#pins) sh(`umount ${this.#pins} || true; rmdir ${this.#pins}`);
    this.#pins = null;
  }
}

/** Removes what processes that were killed could not. */
function removeLeftovers(name: string): void {
  for (const line of sh('ip netns list').split('\n')) {
    const [ns = ''] = line.split(' ');
    const [, owner, pid] = /^(\D+)(\d+)-/.exec(ns) ?? [];
    if (owner !== name || existsSync(`/proc/${pid}`)) continue;
    spawnSync('ip', ['netns', 'del', ns], { stdio: 'ignore' });
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
