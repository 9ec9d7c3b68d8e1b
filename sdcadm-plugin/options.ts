// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Options in dashdash's form, which is what sdcadm's commands carry as
 * `.options`, read by Node's own parser.
 */

import { parseArgs } from 'node:util';
import { UsageError } from '#lib/errors.js';

/** One option, as sdcadm's own commands declare it. */
export interface OptionSpec {
  /** The long name, then the short one. */
  names: string[];
  type: 'bool' | 'string' | 'arrayOfCommaSepString';
  help: string;
  helpArg?: string;
}

export type OptionValues = Record<
  string,
  boolean | string | string[] | undefined
>;

/** `--dry-run` is read as `dry_run`, as dashdash does. */
function key(spec: OptionSpec): string {
  return (spec.names[0] as string).replaceAll('-', '_');
}

/**
 * Reads a command's arguments.
 * @throws UsageError for an option that there is not
 */
export function parseOptions(
  specs: readonly OptionSpec[],
  argv: string[],
): { opts: OptionValues; args: string[] } {
  const options = Object.fromEntries(
    specs.map((spec) => [
      spec.names[0] as string,
      {
        type: spec.type === 'bool' ? ('boolean' as const) : ('string' as const),
        multiple: spec.type === 'arrayOfCommaSepString',
        ...(spec.names[1] === undefined ? {} : { short: spec.names[1] }),
      },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options,
    });
    const opts: OptionValues = {};
    for (const spec of specs) {
      const value = values[spec.names[0] as string];
      if (value === undefined) continue;
      opts[key(spec)] = Array.isArray(value)
        ? commaSeparated(value as string[])
        : value;
    }
    return { opts, args: positionals };
  } catch (error) {
    const [said = ''] = (error as Error).message.split(/\.\s/, 1);
    throw new UsageError(said);
  }
}

/** Each once, in the order given. */
function commaSeparated(values: string[]): string[] {
  const all = values
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
  return [...new Set(all)];
}

/** The options' part of a help text, names in one column. */
export function describeOptions(specs: readonly OptionSpec[]): string {
  const heads = specs.map((spec) => {
    const arg = spec.helpArg ?? (spec.type === 'bool' ? '' : 'ARG');
    const [long, short] = spec.names;
    const words = [short && `-${short}`, `--${long}`]
      .filter((name) => name !== undefined)
      .map((name) => (arg === '' ? name : `${name} ${arg}`));
    return `    ${words.join(', ')}`;
  });
  const width = Math.max(...heads.map((head) => head.length)) + 2;
  return specs
    .map((spec, i) => `${(heads[i] as string).padEnd(width)}${spec.help}`)
    .join('\n');
}

const HELP: OptionSpec = {
  names: ['help', 'h'],
  type: 'bool',
  help: 'Show this help.',
};
const YES: OptionSpec = {
  names: ['yes', 'y'],
  type: 'bool',
  help: 'Answer yes to all confirmations.',
};
const DRY_RUN: OptionSpec = {
  names: ['dry-run', 'n'],
  type: 'bool',
  help: 'Do a dry-run.',
};
const SERVERS: OptionSpec = {
  names: ['servers', 's'],
  type: 'arrayOfCommaSepString',
  helpArg: 'NAMES',
  help: 'Hostnames or UUIDs of servers, separated by commas; may be repeated.',
};
const IMAGE: OptionSpec = {
  names: ['image', 'i'],
  type: 'string',
  helpArg: 'IMAGE',
  help: '"latest" (of the channel), "current" (of the service), a UUID or a version.',
};
const CHANNEL: OptionSpec = {
  names: ['channel', 'C'],
  type: 'string',
  helpArg: 'CHANNEL',
  help: 'Channel of the updates server.',
};

/** Options that several commands have. */
export const OPTIONS = { HELP, YES, DRY_RUN, SERVERS, IMAGE, CHANNEL };
