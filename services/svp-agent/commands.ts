// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * iproute2's programs as this agent uses them: one-shot commands for set-up,
 * and long-lived `-batch -` processes for entries, since starting a process
 * for each costs more than everything else a first packet waits for. The only
 * file that starts processes.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';

export type Tool = 'ip' | 'bridge' | 'tc';

export interface Commands {
  /**
   * Runs one command and waits for it.
   * @returns its standard output
   * @throws Error naming the command and what it said
   */
  run(tool: Tool, command: string): Promise<string>;
  /** As `run`, in this process's own namespace whatever `netns` says. */
  outside(words: string[]): Promise<string>;
  /** Hands a command to a long-lived process; a failure is only logged. */
  stream(tool: 'ip' | 'bridge', command: string): void;
  /** Calls back for each line of `ip monitor neigh`, and when it restarts. */
  monitor(onLine: (line: string) => void, onStart: () => void): void;
  /** Ends the long-lived processes. */
  close(): void;
}

const RESTART_MS = 200;
/** Signals to our group are for us: what we run to clean up must go on. */
const detached = true;

interface Keeper {
  child(): ChildProcess | null;
  stop(): void;
}

/** Keeps a process running until told to stop. */
function keep(
  start: () => ChildProcess,
  clock: Clock,
  log: Logger,
  name: string,
): Keeper {
  let child: ChildProcess | null = null;
  let stopped = false;
  function begin(): void {
    if (stopped) return;
    const started = start();
    child = started;
    let gone = false;
    const again = (reason: unknown): void => {
      if (gone) return;
      gone = true;
      child = null;
      if (stopped) return;
      log.error({ name, reason }, 'process ended, starting it again');
      clock.after(RESTART_MS, begin);
    };
    started.on('error', (err) => again(err.message));
    started.on('exit', (code, signal) => again(signal ?? code));
    started.stdin?.on('error', (err) => log.debug({ err, name }, 'write'));
    if (started.stderr !== null) {
      createInterface({ input: started.stderr }).on('line', (line) =>
        log.warn({ name, line }, 'command failed'),
      );
    }
  }
  begin();
  return {
    child: () => child,
    stop() {
      stopped = true;
      child?.kill();
    },
  };
}

/** Runs a program to its end. @returns its standard output */
function execute(words: string[]): Promise<string> {
  const [program = '', ...rest] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached,
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      said.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said.stderr += chunk.toString();
    });
    const fail = (why: string) =>
      reject(new Error(`${words.join(' ')}: ${why}`));
    child.on('error', (error) => fail(error.message));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(said.stdout);
      else fail(said.stderr.trim() || `exit ${signal ?? code}`);
    });
  });
}

/**
 * Makes the programs available.
 * @param netns the network namespace to work in, or null for our own
 */
export function createCommands(
  netns: string | null,
  clock: Clock,
  log: Logger,
): Commands {
  const inside = netns === null ? [] : ['-n', netns];
  const keepers = new Map<string, Keeper>();

  function run(tool: Tool, command: string): Promise<string> {
    return execute([tool, ...inside, ...command.split(' ')]);
  }

  function batch(tool: 'ip' | 'bridge'): Keeper {
    const existing = keepers.get(tool);
    if (existing !== undefined) return existing;
    const words = [...inside, '-force', '-batch', '-'];
    const start = () =>
      spawn(tool, words, { stdio: ['pipe', 'ignore', 'pipe'], detached });
    const keeper = keep(start, clock, log, `${tool} -batch`);
    keepers.set(tool, keeper);
    return keeper;
  }

  return {
    run,
    outside: execute,
    stream(tool, command) {
      log.trace({ tool, command }, 'command');
      const child = batch(tool).child();
      if (child?.stdin?.writable) child.stdin.write(`${command}\n`);
      else run(tool, command).catch((err) => log.warn({ err }, 'failed'));
    },
    monitor(onLine, onStart) {
      // A large receive buffer: misses that do not fit are lost.
      const words = [...inside, '-rcvbuf', '4194304', 'monitor', 'neigh'];
      const start = () => {
        const child = spawn('ip', words, {
          stdio: ['ignore', 'pipe', 'pipe'],
          detached,
        });
        createInterface({ input: child.stdout }).on('line', onLine);
        child.on('spawn', onStart);
        return child;
      };
      keepers.set('monitor', keep(start, clock, log, 'ip monitor'));
    },
    close() {
      for (const keeper of keepers.values()) keeper.stop();
    },
  };
}
