// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A command in cmdln's form, so that sdcadm could register it among its own:
 * a function `(subcmd, opts, args, cb)` with `.options`, `.help` and
 * `.logToFile` (facts: svp-portolan-vxlnat 6.1). Here the work is async, and
 * `this` is not needed: the context is made by whoever runs it.
 */

import { UsageError } from '#lib/errors.js';
import type { Context } from './context.js';
import type { OptionSpec, OptionValues } from './options.js';

/** A command line, read. */
export interface Invocation {
  opts: OptionValues;
  args: string[];
}

export interface CommandSpec {
  /** One line, for the list of commands. */
  synopsis: string;
  /** `{{options}}` stands for the options. */
  help: string[];
  options: OptionSpec[];
  /** What follows the options, such as `[NETWORK...]`; none when absent. */
  operands?: boolean;
  run: (ctx: Context, invocation: Invocation) => Promise<void>;
}

export interface Command {
  (
    subcmd: string,
    opts: OptionValues,
    args: string[],
    cb: (error?: unknown) => void,
  ): void;
  options: OptionSpec[];
  help: string;
  synopsis: string;
  logToFile: true;
  run: CommandSpec['run'];
}

/**
 * @param open makes the context when the command is called in cmdln's form
 * @returns the command; its `run` is for callers that have a context
 */
export function command(
  spec: CommandSpec,
  open: () => Promise<{ ctx: Context; close: () => void }>,
): Command {
  const run: CommandSpec['run'] = async (ctx, invocation) => {
    if (spec.operands !== true && invocation.args.length > 0) {
      throw new UsageError(`too many args: ${invocation.args.join(' ')}`);
    }
    return spec.run(ctx, invocation);
  };
  const call = async (opts: OptionValues, args: string[]) => {
    const { ctx, close } = await open();
    try {
      await run(ctx, { opts, args });
    } finally {
      close();
    }
  };
  return Object.assign(
    (
      _subcmd: string,
      opts: OptionValues,
      args: string[],
      cb: (error?: unknown) => void,
    ) => {
      call(opts, args).then(() => cb(), cb);
    },
    {
      options: spec.options,
      help: spec.help.join('\n'),
      synopsis: spec.synopsis,
      logToFile: true as const,
      run,
    },
  );
}

/** Options that are lists. */
export function listOf(value: OptionValues[string]): string[] {
  return Array.isArray(value) ? value : [];
}

/** Options that are texts. */
export function textOf(value: OptionValues[string], missing: string): string {
  return typeof value === 'string' ? value : missing;
}

/** `-n` and `-y`. */
export function runOptions(opts: OptionValues) {
  return { dryRun: opts['dry_run'] === true, yes: opts['yes'] === true };
}
