// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Validation and defaults of a rule's options, as options.ts does it for the
 * engine's: an error names the field, such as
 * `operations[3].options.block_size`.
 */

import { InvalidValueError } from './errors.js';
import type {
  Operation,
  RuleOptions,
  RuleOptionsDto,
  TimersDto,
} from './native.js';
import {
  integer,
  limitsOf,
  merge,
  NO_LIMITS,
  object,
  show,
} from './options.js';

const MAPPINGS = [
  'endpoint-dependent',
  'endpoint-independent',
  'deterministic',
] as const;

/** Most public addresses and exempt prefixes of a rule, as in config.h. */
const MOST = 64;
const MONTH_MS = 30 * 86_400_000;

function list(field: string, value: unknown): string[] {
  if (!Array.isArray(value) || value.length > MOST) {
    throw new InvalidValueError(
      field,
      `expected a list of at most ${MOST}, got ${show(value)}`,
    );
  }
  return value;
}

function timersOf(field: string, given: object, engine: TimersDto): TimersDto {
  const timers = merge(field, engine, given);
  for (const [name, value] of Object.entries(timers)) {
    integer(`${field}.${name}`, value, name === 'quarantine' ? 0 : 1, MONTH_MS);
  }
  return timers;
}

/**
 * Fills in defaults and checks ranges of a rule's options.
 * @param field where they are, for messages
 * @param engine idle times that are not given
 * @throws InvalidValueError naming the field
 */
export function ruleOptions(
  field: string,
  given: RuleOptions,
  engine: TimersDto,
): RuleOptionsDto {
  const options = merge<RuleOptionsDto>(
    field,
    {
      mapping: 'endpoint-dependent',
      more_public_ips: [],
      port_low: 0,
      port_high: 0,
      slice: 0,
      slices: 1,
      exempt: [],
      mss: 0,
      timers: null,
      host: NO_LIMITS,
      block_size: 0,
    },
    object(field, given),
  );
  if (!MAPPINGS.includes(options.mapping)) {
    throw new InvalidValueError(
      `${field}.mapping`,
      `expected ${MAPPINGS.join(', ')}, got ${show(options.mapping)}`,
    );
  }
  list(`${field}.more_public_ips`, options.more_public_ips);
  list(`${field}.exempt`, options.exempt);
  const low = options.port_high === 0 ? 0 : 1;
  integer(`${field}.port_high`, options.port_high, 0, 65535);
  integer(`${field}.port_low`, options.port_low, low, options.port_high);
  integer(`${field}.slices`, options.slices, 1, 64512);
  integer(`${field}.slice`, options.slice, 0, options.slices - 1);
  if (options.mss !== 0) integer(`${field}.mss`, options.mss, 536, 65535);
  if (![0, 64, 128, 256, 512, 1024].includes(options.block_size)) {
    throw new InvalidValueError(
      `${field}.block_size`,
      `expected 0, 64, 128, 256, 512 or 1024, got ${show(options.block_size)}`,
    );
  }
  const times = options.timers;
  return {
    ...options,
    timers:
      times === null
        ? null
        : timersOf(`${field}.timers`, object(`${field}.timers`, times), engine),
    host: limitsOf(`${field}.host`, object(`${field}.host`, options.host)),
  };
}

/**
 * Operations as native code wants them, with options and owners or null.
 * @param engine the engine's idle times
 */
export function completeOperations(
  operations: Operation[],
  engine: TimersDto,
): Operation[] {
  // What is no list, or holds no operations, native code names itself.
  if (!Array.isArray(operations)) return operations;
  return operations.map((operation, i) => {
    if (operation?.op === 'remove_flow') {
      return { ...operation, owner: operation.owner ?? null };
    }
    if (operation?.op !== 'set_rule') return operation;
    const { options } = operation;
    return {
      ...operation,
      options:
        options === undefined || options === null
          ? null
          : ruleOptions(`operations[${i}].options`, options, engine),
    };
  });
}
