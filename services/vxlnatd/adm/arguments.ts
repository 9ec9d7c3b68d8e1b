// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What vxlnatadm's arguments mean: protocols by name, `IP:PORT`, filters. */

import { parseArgs } from 'node:util';
import { UsageError } from '#lib/errors.js';
import { loadConfig } from '#lib/service/config.js';
import {
  CONFIG_SCHEMA,
  type ConfigFile,
  completeConfig,
  pinsOf,
} from '../config.js';

/** Protocols that have a name. */
export const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
};

/** The name of a protocol, or its number. */
export function protocolName(number: number): string {
  const found = Object.entries(PROTOCOLS).find(([, n]) => n === number);
  return found?.[0] ?? String(number);
}

/** The number of a protocol given by name or number. */
export function protocolNumber(text: string): string {
  return String(PROTOCOLS[text] ?? text);
}

/**
 * Reads `10.1.2.3:80`.
 * @param port what stands for one that is not given; else it must be
 */
export function endpoint(text: string, port?: string): [string, string] {
  const [ip, given = port, ...rest] = text.split(':');
  if (ip === undefined || given === undefined || rest.length > 0) {
    throw new UsageError(`"${text}" is not of the form IP:PORT`);
  }
  return [ip, given];
}

/** `PROTO PUBLIC:PORT REMOTE:PORT` as a query. */
export function exactFlow(args: string[]): URLSearchParams {
  const [proto, outside, far] = args;
  if (proto === undefined || outside === undefined || far === undefined) {
    throw new UsageError('kill-flow needs PROTO PUBLIC:PORT REMOTE:PORT');
  }
  const [publicIp, publicPort] = endpoint(outside);
  const [remoteIp, remotePort] = endpoint(far);
  return new URLSearchParams({
    proto: protocolNumber(proto),
    public_ip: publicIp,
    public_port: publicPort,
    remote_ip: remoteIp,
    remote_port: remotePort,
  });
}

/** A command line, read. */
export interface Options {
  url: string;
  json: boolean;
  nonzero: boolean;
  watch: boolean;
  once: boolean;
  yes: boolean;
  /** When, and in which log `who` looks. */
  at: string | null;
  log: string | null;
  /** Where a dead daemon's XDP program would be pinned; null: nowhere. */
  pins: string | null;
  /** Where `pcap` writes. */
  write: string | null;
  intervalMs: number;
  /** What goes to the daemon as it is. */
  query: URLSearchParams;
  args: string[];
}

/** Options that go to the daemon; of numbers only what is one. */
const NUMBERS = [
  'vnet',
  'limit',
  'cursor',
  'port',
  'count',
  'seconds',
  'snap',
  'ttl',
  'size',
  'icmp-type',
] as const;
const TEXTS = [
  'private-ip',
  'public-ip',
  'remote-ip',
  'proto',
  'direction',
  'drop',
  'point',
  'flags',
] as const;

function parsed(argv: string[]) {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean', default: false } as const;
  const sent = Object.fromEntries(
    [...NUMBERS, ...TEXTS].map((name) => [name, string]),
  ) as Record<(typeof NUMBERS)[number] | (typeof TEXTS)[number], typeof string>;
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        ...sent,
        json: { ...boolean, short: 'j' },
        help: { ...boolean, short: 'h' },
        nonzero: { ...boolean, short: 'z' },
        watch: boolean,
        once: boolean,
        yes: boolean,
        at: string,
        log: string,
        write: { ...string, short: 'w' },
        interval: { ...string, short: 'i', default: '1' },
        url: { ...string, short: 'u' },
        config: { ...string, short: 'c' },
      },
    });
  } catch (error) {
    // What Node adds after the first sentence is advice to programmers.
    const [said = ''] = (error as Error).message.split(/\.\s/, 1);
    throw new UsageError(said);
  }
}

/** Reads the command line. */
export function parse(argv: string[]): {
  help: boolean;
  name: string | undefined;
  options: Options;
} {
  const { values, positionals } = parsed(argv);
  const [name, ...args] = positionals;
  const config = completeConfig(
    values.config === undefined
      ? { underlay: {} }
      : loadConfig<ConfigFile>(values.config, CONFIG_SCHEMA),
  );
  const { host, port } = config.admin;
  const url = values.url ?? `http://${host}:${port}`;
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw new UsageError(`--url: "${url}" is not an http:// URL`);
  }
  const query = new URLSearchParams();
  for (const option of [...NUMBERS, ...TEXTS]) {
    let value = values[option];
    if (value === undefined) continue;
    if (
      (NUMBERS as readonly string[]).includes(option) &&
      !/^\d+$/.test(value)
    ) {
      throw new UsageError(`--${option}: "${value}" is not a number`);
    }
    if (option === 'proto') value = protocolNumber(value);
    query.set(option.replace('-', '_'), value);
  }
  const seconds = Number(values.interval);
  if (!(seconds >= 0.1 && seconds <= 3600)) {
    throw new UsageError(`--interval: "${values.interval}" is not 0.1 to 3600`);
  }
  const { json, nonzero, watch, once, yes } = values;
  const options: Options = {
    url,
    json,
    nonzero,
    watch,
    once,
    yes,
    at: values.at ?? null,
    log: values.log ?? null,
    pins: pinsOf(config),
    write: values.write ?? null,
    intervalMs: seconds * 1000,
    query,
    args,
  };
  return { help: values.help, name, options };
}
