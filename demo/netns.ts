// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Network namespaces as a laboratory: machines that are namespaces, cables that
 * are veth pairs, switches that are bridges, and processes that run in a
 * machine. Everything it makes carries one prefix, so that it can be found and
 * removed even after a crash.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';

/** What a command printed; rejects with its standard error when it fails. */
export function run(argv: string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = argv as [string, ...string[]];
    const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${argv.join(' ')}: ${err.trim() || code}`));
    });
    // A command that fails early leaves its input unread.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** A process that a lab started, with its place and its log file. */
export interface LabProcess {
  name: string;
  machine: string;
  child: ChildProcess;
  log: string;
}

/** Namespaces, cables and processes under one prefix. */
export class Lab {
  readonly prefix: string;
  readonly directory: string;
  readonly processes: LabProcess[] = [];
  #cables = 0;

  /**
   * @param prefix of every namespace, such as `vxn`
   * @param directory where process logs go; it must exist
   */
  constructor(prefix: string, directory: string) {
    this.prefix = prefix;
    this.directory = directory;
  }

  /** The namespace's name as `ip netns` knows it. */
  namespace(machine: string): string {
    return `${this.prefix}-${machine}`;
  }

  /** Makes machines, each with its loopback up. */
  async addMachines(machines: string[]): Promise<void> {
    const lines = machines.map((name) => `netns add ${this.namespace(name)}`);
    await run(['ip', '-batch', '-'], `${lines.join('\n')}\n`);
    for (const name of machines) await this.ip(name, ['link set lo up']);
  }

  /** Runs `ip` lines inside a machine, all in one process. */
  async ip(machine: string, lines: string[]): Promise<void> {
    await run(
      ['ip', '-n', this.namespace(machine), '-batch', '-'],
      `${lines.join('\n')}\n`,
    );
  }

  /**
   * Lays a cable: a veth pair with one end in each machine, both up. Checksum
   * offload stays as the kernel has it, as between two real hosts; GRO is on,
   * as on a network card.
   */
  async cable(
    a: { machine: string; device: string; mac?: string },
    b: { machine: string; device: string; mac?: string },
  ): Promise<void> {
    const n = this.#cables++;
    const [x, y] = [`${this.prefix}x${n}`, `${this.prefix}y${n}`];
    const mac = (end: { mac?: string }) =>
      end.mac === undefined ? '' : ` address ${end.mac}`;
    await run(
      ['ip', '-batch', '-'],
      [
        `link add ${x}${mac(a)} type veth peer name ${y}${mac(b)}`,
        `link set ${x} netns ${this.namespace(a.machine)} name ${a.device} up`,
        `link set ${y} netns ${this.namespace(b.machine)} name ${b.device} up`,
        '',
      ].join('\n'),
    );
    // What an XDP program sends into a cable arrives only where GRO is on.
    for (const end of [a, b]) {
      await this.exec(end.machine, ['ethtool', '-K', end.device, 'gro', 'on']);
    }
  }

  /** Runs a command in a machine to its end and returns what it printed. */
  exec(machine: string, argv: string[]): Promise<string> {
    return run(['ip', 'netns', 'exec', this.namespace(machine), ...argv]);
  }

  /** Sets a kernel parameter of a machine's network stack. */
  async sysctl(machine: string, values: Record<string, string>): Promise<void> {
    const pairs = Object.entries(values).map(
      ([key, value]) => `${key}=${value}`,
    );
    await this.exec(machine, ['sysctl', '-q', '-w', ...pairs]);
  }

  /**
   * Starts a long-running process in a machine; both its outputs go to
   * `<directory>/<name>.log` and standard output to the caller too.
   */
  start(machine: string, name: string, argv: string[]): LabProcess {
    const log = join(this.directory, `${name}.log`);
    const stream = createWriteStream(log, { flags: 'a' });
    const child = spawn(
      'ip',
      ['netns', 'exec', this.namespace(machine), ...argv],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout?.pipe(stream, { end: false });
    child.stderr?.pipe(stream, { end: false });
    const process: LabProcess = { name, machine, child, log };
    this.processes.push(process);
    return process;
  }

  /**
   * Runs a measuring program in a machine beside the story.
   * @returns `write` for its standard input, and `result`: its last line of
   *   output as JSON once it has ended
   */
  measure<T>(
    machine: string,
    argv: string[],
  ): { write: (text: string) => void; result: Promise<T> } {
    const child = spawn(
      'ip',
      ['netns', 'exec', this.namespace(machine), ...argv],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    const result = new Promise<T>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', () => {
        const last = out.trimEnd().split('\n').at(-1) as string;
        try {
          resolve(JSON.parse(last) as T);
        } catch {
          reject(new Error(`${argv[1]} said nothing useful: ${out}`));
        }
      });
    });
    return { write: (text) => child.stdin.end(text), result };
  }

  /** Processes that ended although nobody stopped them. */
  dead(): LabProcess[] {
    return this.processes.filter(({ child }) => child.exitCode !== null);
  }

  /** Ends a process with a signal and waits until it is gone. */
  async stop(target: LabProcess, signal: NodeJS.Signals): Promise<void> {
    const index = this.processes.indexOf(target);
    if (index >= 0) this.processes.splice(index, 1);
    if (target.child.exitCode !== null || target.child.signalCode !== null) {
      return;
    }
    const gone = new Promise((resolve) => target.child.once('exit', resolve));
    target.child.kill(signal);
    const late = setTimeout(() => target.child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(late);
  }

  /** Ends every process and removes every namespace of the prefix. */
  async destroy(): Promise<void> {
    await Promise.all(
      [...this.processes].reverse().map((p) => this.stop(p, 'SIGTERM')),
    );
    await removeNamespaces(this.prefix);
  }
}

/** Removes the namespaces of a prefix, whoever made them. */
export async function removeNamespaces(prefix: string): Promise<void> {
  const list = await run(['ip', 'netns', 'list']);
  for (const line of list.split('\n')) {
    const name = line.split(' ')[0] as string;
    if (!name.startsWith(`${prefix}-`)) continue;
    await run(['ip', 'netns', 'del', name]).catch(() => undefined);
  }
}
