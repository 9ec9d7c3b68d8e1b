// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Validation and defaults of what goes to the engine. Native code checks only
 * what conversion needs; a range, a default or a sensible combination is
 * decided here, where an error can name the field and say what to do.
 */

import { randomBytes } from 'node:crypto';
import { InvalidValueError } from './errors.js';
import type {
  EngineConfigDto,
  IoConfigDto,
  LimitsDto,
  TimersDto,
} from './native.js';

/** Engine settings as a caller gives them: every one has a default. */
export type EngineOptions = Partial<
  Omit<EngineConfigDto, 'timers' | 'host_limits' | 'vnet_limits'>
> & {
  timers?: Partial<TimersDto>;
  host_limits?: Partial<LimitsDto>;
  vnet_limits?: Partial<LimitsDto>;
};

/** I/O settings as a caller gives them. */
export type IoOptions = Partial<IoConfigDto>;

/** Defaults and their reasons: facts, nat-behaviour T6, D6, I2, F5, T13. */
const TIMERS: TimersDto = {
  tcp_established: 7_440_000,
  tcp_opening: 240_000,
  tcp_closing: 240_000,
  udp: 300_000,
  icmp: 60_000,
  fragment: 2_000,
  quarantine: 60_000,
};

const DAY_MS = 86_400_000;

/** Room in tables besides the flows': what holds a large zone. */
const ROOMS = {
  max_vnets: 16_384,
  max_rules: 32_768,
  max_one_to_ones: 65_536,
  max_remotes: 131_072,
};

/** Shared with rule-options.ts. */
export function integer(
  field: string,
  value: unknown,
  low: number,
  high: number,
) {
  if (
    typeof value !== 'number' ||
    !Number.isInteger(value) ||
    value < low ||
    value > high
  ) {
    throw new InvalidValueError(
      field,
      `expected a whole number from ${low} to ${high}, got ${show(value)}`,
    );
  }
}

/** Shared with rule-options.ts. */
export function show(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : String(value);
}

/** Values given, over defaults; an undefined one counts as not given. */
export function merge<T extends object>(
  what: string,
  defaults: T,
  given: object,
): T {
  const merged = { ...defaults } as Record<string, unknown>;
  for (const [name, value] of Object.entries(given)) {
    if (!(name in defaults)) {
      throw new InvalidValueError(`${what}.${name}`, 'unknown setting');
    }
    if (value !== undefined) merged[name] = value;
  }
  return merged as T;
}

/** Shared with rule-options.ts. */
export function object(field: string, value: unknown): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidValueError(
      field,
      `expected an object, got ${show(value)}`,
    );
  }
  return value;
}

/** Shared with rule-options.ts. */
export const NO_LIMITS: LimitsDto = { flows: 0, opening: 0, per_second: 0 };

const MAX_COUNT = 1 << 27;

/** Shared with rule-options.ts. */
export function limitsOf(field: string, given: object): LimitsDto {
  const limits = merge(field, NO_LIMITS, object(field, given));
  for (const [name, value] of Object.entries(limits)) {
    integer(`${field}.${name}`, value, 0, MAX_COUNT);
  }
  return limits;
}

function interfaceName(field: string, value: unknown) {
  // IFNAMSIZ is 16 with the terminating zero; `%` is a kernel template.
  if (typeof value !== 'string' || !/^[^\s/%:]{1,15}$/.test(value)) {
    throw new InvalidValueError(
      field,
      `expected an interface name of 1 to 15 characters, got ${show(value)}`,
    );
  }
}

/**
 * Fills in defaults and checks ranges.
 * @param given what the caller wants to differ from the defaults
 * @throws InvalidValueError naming the field, such as `config.timers.udp`
 */
export function engineConfig(given: EngineOptions): EngineConfigDto {
  const {
    timers: givenTimers = {},
    host_limits = {},
    vnet_limits = {},
    ...rest
  } = object('config', given) as EngineOptions;
  const timers = merge(
    'config.timers',
    TIMERS,
    object('config.timers', givenTimers),
  );
  const config = merge<EngineConfigDto>(
    'config',
    {
      vxlan_port: 4789,
      probe_vnet: 0xffffff,
      inner_mtu: 1450,
      max_flows: 1_048_576,
      ...ROOMS,
      port_low: 1024,
      port_high: 65535,
      timers,
      seed: randomBytes(16).toString('hex'),
      rst_on_unknown: false,
      host_limits: limitsOf('config.host_limits', host_limits),
      vnet_limits: limitsOf('config.vnet_limits', vnet_limits),
    },
    rest,
  );
  integer('config.vxlan_port', config.vxlan_port, 1, 65535);
  integer('config.probe_vnet', config.probe_vnet, 0, 0xffffff);
  // 576 is the least that any IPv4 host must take (RFC 791 section 3.1).
  integer('config.inner_mtu', config.inner_mtu, 576, 65485);
  integer('config.max_flows', config.max_flows, 64, 1 << 27);
  for (const name of Object.keys(ROOMS) as (keyof typeof ROOMS)[]) {
    integer(`config.${name}`, config[name], 1, 1 << 24);
  }
  integer('config.port_low', config.port_low, 1, 65535);
  integer('config.port_high', config.port_high, config.port_low, 65535);
  for (const [name, value] of Object.entries(timers)) {
    const low = name === 'quarantine' ? 0 : 1;
    integer(`config.timers.${name}`, value, low, 30 * DAY_MS);
  }
  if (!/^[0-9a-f]{32}$/.test(String(config.seed))) {
    throw new InvalidValueError('config.seed', 'expected 32 hex digits');
  }
  if (typeof config.rst_on_unknown !== 'boolean') {
    throw new InvalidValueError(
      'config.rst_on_unknown',
      'expected true or false',
    );
  }
  return config;
}

/**
 * Fills in defaults and checks ranges of the I/O settings.
 * @throws InvalidValueError naming the field, such as `io.tun_name`
 */
export function ioConfig(given: IoOptions): IoConfigDto {
  const io = merge<IoConfigDto>(
    'io',
    {
      kind: 'auto',
      underlay_interface: null,
      external_interface: null,
      external_vlan: 0,
      tun_name: 'vxn0',
      tun_mtu: 1500,
      burst: 64,
      lanes: 0,
      pins: null,
    },
    object('io', given),
  );
  if (!['auto', 'xdp', 'af_xdp', 'tun'].includes(io.kind)) {
    throw new InvalidValueError(
      'io.kind',
      `expected "auto", "xdp", "af_xdp" or "tun", got ${show(io.kind)}`,
    );
  }
  for (const name of ['underlay_interface', 'external_interface'] as const) {
    if (io[name] !== null) interfaceName(`io.${name}`, io[name]);
  }
  integer('io.external_vlan', io.external_vlan, 0, 4094);
  integer('io.lanes', io.lanes, 0, 64);
  if (io.pins !== null && !/^\/[^\0]{1,200}[^/\0]$/.test(String(io.pins))) {
    throw new InvalidValueError('io.pins', 'expected an absolute path');
  }
  interfaceName('io.tun_name', io.tun_name);
  integer('io.tun_mtu', io.tun_mtu, 576, 9000);
  integer('io.burst', io.burst, 1, 256);
  return io;
}
