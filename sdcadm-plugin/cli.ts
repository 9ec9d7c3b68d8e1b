// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Which command a command line means, its help, and how errors end it. */

import { UsageError } from '#lib/errors.js';
import { packageVersion } from '#lib/service/run.js';
import type { Command } from './command.js';
import { do_convert } from './commands/convert.js';
import { do_create } from './commands/create.js';
import { do_post_setup } from './commands/post-setup.js';
import { do_remove } from './commands/remove.js';
import { do_status } from './commands/status.js';
import type { Context } from './context.js';
import { SdcadmError } from './errors.js';
import { describeOptions, parseOptions } from './options.js';

const NAME = 'sdcadm-vxlnat';

/** By the name that is typed. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  'post-setup': do_post_setup,
  create: do_create,
  status: do_status,
  convert: do_convert,
  remove: do_remove,
};

function overview(): string {
  const names = Object.keys(COMMANDS);
  const width = Math.max(...names.map((name) => name.length)) + 4;
  return [
    'Set up and look after NAT zones (vxlnat) in a Triton datacenter.',
    '',
    'Usage:',
    `    ${NAME} COMMAND [OPTIONS] [ARGS...]`,
    `    ${NAME} help COMMAND`,
    '',
    'Commands:',
    ...Object.entries(COMMANDS).map(
      ([name, { synopsis }]) => `    ${name.padEnd(width)}${synopsis}`,
    ),
    '',
    'Options:',
    '    -h, --help       Show this help.',
    '    --version        Show the version.',
    '',
    'Environment:',
    '    SDCADM_VXLNAT_CONFIG    configuration file; see docs/sdcadm.md',
    '',
    'Exit status: 0 done, nothing to do, or not wanted; 1 failed; 2 wrong usage,',
    'or the datacenter is not ready for it.',
  ].join('\n');
}

function helpOf(command: Command): string {
  return command.help
    .replaceAll('{{name}}', NAME)
    .replace('{{options}}', `Options:\n${describeOptions(command.options)}`);
}

function commandNamed(name: string): Command {
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (found === undefined) {
    throw new UsageError(
      `unknown command: "${name}"; see \`${NAME} help\` for those there are`,
    );
  }
  return found;
}

/** How a command line ends: what to write, and the exit status. */
export interface Ending {
  status: number;
  stderr: string;
}

function ending(error: unknown): Ending {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof SdcadmError) {
    return {
      status: error.exitStatus,
      stderr: `${NAME}: error (${error.code}): ${message}\n`,
    };
  }
  const usage = error instanceof UsageError;
  const code = usage ? 'Usage' : 'Internal';
  return {
    status: usage ? 2 : 1,
    stderr: `${NAME}: error (${code}): ${message}\n`,
  };
}

/**
 * Runs a command line.
 * @param open makes the context when a command needs one
 * @param write takes text that is not of a command, such as help
 */
export async function sdcadmVxlnat(
  argv: string[],
  open: () => Promise<{ ctx: Context; close: () => void }>,
  write: (text: string) => void,
): Promise<Ending> {
  const [first, ...rest] = argv;
  try {
    if (first === '--version') {
      write(`${NAME} ${packageVersion()}\n`);
      return { status: 0, stderr: '' };
    }
    if (first === undefined || first === '-h' || first === '--help') {
      write(`${overview()}\n`);
      return { status: first === undefined ? 2 : 0, stderr: '' };
    }
    if (first === 'help') {
      const [name] = rest;
      const text = name === undefined ? overview() : helpOf(commandNamed(name));
      write(`${text}\n`);
      return { status: 0, stderr: '' };
    }
    const command = commandNamed(first);
    const { opts, args } = parseOptions(command.options, rest);
    if (opts['help'] === true) {
      write(`${helpOf(command)}\n`);
      return { status: 0, stderr: '' };
    }
    const { ctx, close } = await open();
    try {
      await command.run(ctx, { opts, args });
      return { status: 0, stderr: '' };
    } finally {
      close();
    }
  } catch (error) {
    return ending(error);
  }
}
