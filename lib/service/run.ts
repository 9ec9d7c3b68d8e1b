// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The frame of every executable: options, --help, --version, exit statuses,
 * signals, and errors as one line instead of a stack.
 *
 *   0  ended as asked      1  failed      2  wrong usage or configuration
 */

import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from '#lib/errors.js';

type Options = NonNullable<ParseArgsConfig['options']>;

export interface Parsed {
  /** By long name; absent when not given. */
  values: Record<string, string | boolean | (string | boolean)[] | undefined>;
  positionals: string[];
}

export interface Program {
  /** As on the command line. */
  name: string;
  /** The whole --help text. */
  usage: string;
  options?: Options;
  allowPositionals?: boolean;
  /**
   * Does the work. Resolves to an exit status, or to a function that stops
   * what was started: the process then lives until SIGTERM or SIGINT.
   */
  main: (parsed: Parsed) => Promise<number | undefined | Stop>;
  /**
   * Whether this command line starts something that has to be stopped: a
   * signal that comes while it starts then waits for that. Others end at once.
   */
  daemon?: (parsed: Parsed) => boolean;
}

export type Stop = () => Promise<void>;

/** How long a stop may take before the process ends anyway. */
const STOP_LIMIT_MS = 10_000;
/** A second signal within this is the same one. */
const IMPATIENT_MS = 300;

/**
 * Runs a program and ends the process.
 * @param program what to run
 * @param argv arguments without node and script
 */
export async function runMain(
  program: Program,
  argv: string[] = process.argv.slice(2),
): Promise<void> {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => exitWith(program, error));
  }
  try {
    const parsed = parse(program, argv);
    if (parsed.values['help'] === true) {
      process.stdout.write(`${program.usage.trim()}\n`);
      return;
    }
    if (parsed.values['version'] === true) {
      process.stdout.write(`${program.name} ${packageVersion()}\n`);
      return;
    }
    // Not before the signals are caught.
    const started = Promise.resolve().then(() => program.main(parsed));
    if (program.daemon?.(parsed) === true) untilSignal(program, started);
    const outcome = await awake(started);
    if (typeof outcome !== 'function') process.exitCode = outcome ?? 0;
  } catch (error) {
    exitWith(program, error);
  }
}

/** Waits, and lives: timers of our clock keep no process alive. */
async function awake<T>(started: Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, 60_000);
  try {
    return await started;
  } finally {
    clearInterval(hold);
  }
}

function parse(program: Program, argv: string[]): Parsed {
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: program.allowPositionals ?? false,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        ...program.options,
      },
    });
    return { values, positionals };
  } catch (error) {
    const said = (error as Error).message.split('. ', 1)[0] ?? '';
    throw new UsageError(`${said} (see ${program.name} --help)`);
  }
}

async function stopped(started: ReturnType<Program['main']>): Promise<void> {
  const stop = await started;
  if (typeof stop === 'function') await stop();
}

function untilSignal(
  program: Program,
  started: ReturnType<Program['main']>,
): void {
  let asked: number | null = null;
  const end = (signal: NodeJS.Signals) => {
    if (asked !== null) {
      // An operator who does not want to wait; timeout(1) and shells, which
      // signal a process and then its group, mean one signal.
      if (performance.now() - asked > IMPATIENT_MS) process.exit(1);
      return;
    }
    asked = performance.now();
    const limit = setTimeout(() => {
      process.stderr.write(`${program.name}: ${signal}: stop took too long\n`);
      process.exit(1);
    }, STOP_LIMIT_MS);
    stopped(started).then(
      () => {
        clearTimeout(limit);
        process.exit(0);
      },
      (error: unknown) => exitWith(program, error),
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

function exitWith(program: Program, error: unknown): never {
  const status = error instanceof UsageError ? error.exitStatus : 1;
  const message = error instanceof Error ? error.message : String(error);
  for (const line of message.split('\n')) {
    process.stderr.write(`${program.name}: ${line}\n`);
  }
  const debugging = /^(debug|trace)$/.test(process.env['LOG_LEVEL'] ?? '');
  if (debugging && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`);
  } else if (status === 1) {
    process.stderr.write(
      `${program.name}: set LOG_LEVEL=debug in the environment for a stack\n`,
    );
  }
  process.exit(status);
}

/** The version of the package this file was built into. */
export function packageVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as {
    version: string;
  };
  return version;
}
