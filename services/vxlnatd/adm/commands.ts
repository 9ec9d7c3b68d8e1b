// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatadm's subcommands: each asks the daemon's admin interface and writes
 * the answer as a table, or as the JSON that it got. Command lines in, text
 * and a status out; `main.ts` has the process.
 */

import { parseArgs } from 'node:util';
import { UsageError } from '#lib/errors.js';
import { pairs, span, table } from './table.js';

/** What a run of vxlnatadm left. */
export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** One request to the daemon. @throws when nobody answers */
export type Ask = (
  url: string,
  method: 'GET' | 'DELETE',
) => Promise<{ status: number; body: unknown }>;

export const USAGE = `usage: vxlnatadm [-j] [-u URL] COMMAND [ARGUMENTS]

Shows what one zone's vxlnatd does.

commands:
  status                        health, position, digest, addresses
  rules [--vnet N]              SNAT rules and 1:1 entries
  publics                       public IPs, who serves them, what is announced
  flows [FILTERS]               live flows; filters: --vnet N, --private-ip IP,
                                --public-ip IP, --remote-ip IP, --limit N,
                                --cursor N
  kill-flow PROTO PUBLIC:PORT REMOTE:PORT
                                ends one flow; PROTO is tcp, udp, icmp or a
                                number
  drops [-z]                    dropped packets by reason; -z leaves out zeros

options:
  -j, --json    the daemon's answer as JSON
  -u, --url     the daemon (default http://127.0.0.1:2960)
  -h, --help    this text

exit status: 0 success, 1 the daemon refused, is not ready or does not answer,
2 usage
`;

interface Options {
  json: boolean;
  nonzero: boolean;
  query: URLSearchParams;
  args: string[];
}

interface Health {
  live: boolean;
  ready: boolean;
  reasons: string[];
  zone_uuid: string;
  state: string | null;
  control_plane: string;
  position: number;
  newest_position: number | null;
  digest: string;
  rules: number;
  one_to_ones: number;
  announced: string[];
  ul3s: string[];
  uptime_ms: number;
}

interface Rules {
  rules: {
    vnet_id: number;
    vlan_id: number;
    subnet: string;
    gateway: string;
    router_mac: string;
    nat_reform_public: string;
  }[];
  one_to_ones: {
    vnet_id: number;
    vlan_id: number;
    private_ip: string;
    public_ip: string;
    aip_uuid: string;
  }[];
}

interface Flow {
  vnet: number;
  proto: number;
  private_ip: string;
  private_port: number;
  public_ip: string;
  public_port: number;
  remote_ip: string;
  remote_port: number;
  state: string;
  idle_ms: number;
  expires_ms: number;
  packets_out: number;
  packets_in: number;
}

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
};

function protocolName(number: number): string {
  const found = Object.entries(PROTOCOLS).find(([, n]) => n === number);
  return found?.[0] ?? String(number);
}

function writeStatus(health: Health): string {
  const behind =
    health.newest_position === null
      ? ''
      : ` of ${Math.max(health.newest_position, health.position)}`;
  return pairs([
    ['zone', health.zone_uuid],
    ['live', health.live ? 'yes' : 'NO'],
    ['ready', health.ready ? 'yes' : `NO: ${health.reasons.join('; ')}`],
    ['state', health.state ?? '-'],
    ['control plane', health.control_plane],
    ['position', `${health.position}${behind}`],
    ['digest', health.digest],
    ['rules', health.rules],
    ['1:1 entries', health.one_to_ones],
    ['UL3 served', health.ul3s.join(' ') || '-'],
    ['announced', health.announced.join(' ') || '-'],
    ['uptime', span(health.uptime_ms)],
  ]);
}

function writeRules({ rules, one_to_ones }: Rules): string {
  const snat = table(
    [
      { name: 'VNET', cell: (r) => r.vnet_id },
      { name: 'VLAN', cell: (r) => r.vlan_id },
      { name: 'SUBNET', cell: (r) => r.subnet },
      { name: 'ROUTER', cell: (r) => r.gateway },
      { name: 'ROUTER MAC', cell: (r) => r.router_mac },
      { name: 'PUBLIC', cell: (r) => r.nat_reform_public },
    ],
    rules,
  );
  const fixed = table(
    [
      { name: 'VNET', cell: (e) => e.vnet_id },
      { name: 'VLAN', cell: (e) => e.vlan_id },
      { name: 'PRIVATE', cell: (e) => e.private_ip },
      { name: 'PUBLIC', cell: (e) => e.public_ip },
      { name: 'AIP', cell: (e) => e.aip_uuid },
    ],
    one_to_ones,
  );
  return `${snat}\n\n${fixed}`;
}

function writePublics(
  publics: {
    ip: string;
    kind: string | null;
    zone_uuid: string | null;
    routed: boolean;
    announced: boolean;
  }[],
): string {
  return table(
    [
      { name: 'PUBLIC', cell: (p) => p.ip },
      { name: 'KIND', cell: (p) => p.kind ?? '-' },
      { name: 'ROUTED', cell: (p) => (p.routed ? 'yes' : 'no') },
      { name: 'ANNOUNCED', cell: (p) => (p.announced ? 'yes' : 'no') },
      { name: 'ZONE', cell: (p) => p.zone_uuid ?? '-' },
    ],
    publics,
  );
}

function writeFlows(page: { flows: Flow[]; cursor: number | null }): string {
  const text = table(
    [
      { name: 'VNET', cell: (f) => f.vnet },
      { name: 'PROTO', cell: (f) => protocolName(f.proto) },
      { name: 'PRIVATE', cell: (f) => `${f.private_ip}:${f.private_port}` },
      { name: 'PUBLIC', cell: (f) => `${f.public_ip}:${f.public_port}` },
      { name: 'REMOTE', cell: (f) => `${f.remote_ip}:${f.remote_port}` },
      { name: 'STATE', cell: (f) => f.state },
      { name: 'IDLE', cell: (f) => span(f.idle_ms) },
      { name: 'EXPIRES', cell: (f) => span(f.expires_ms) },
      { name: 'OUT', cell: (f) => f.packets_out },
      { name: 'IN', cell: (f) => f.packets_in },
    ],
    page.flows,
  );
  return page.cursor === null
    ? text
    : `${text}\n(more: --cursor ${page.cursor})`;
}

interface Drop {
  name: string;
  sentence: string;
  count: number;
}

function writeDrops(drops: Drop[]): string {
  return table(
    [
      { name: 'COUNT', cell: (d) => d.count },
      { name: 'REASON', cell: (d) => d.name },
      { name: 'MEANING', cell: (d) => d.sentence },
    ],
    drops,
  );
}

/** Reads `10.1.2.3:80`. */
function endpoint(text: string): [string, string] {
  const [ip, port, ...rest] = text.split(':');
  if (ip === undefined || port === undefined || rest.length > 0) {
    throw new UsageError(`"${text}" is not of the form IP:PORT`);
  }
  return [ip, port];
}

function killQuery(args: string[]): URLSearchParams {
  const [proto, outside, far] = args;
  if (proto === undefined || outside === undefined || far === undefined) {
    throw new UsageError('kill-flow needs PROTO PUBLIC:PORT REMOTE:PORT');
  }
  const [publicIp, publicPort] = endpoint(outside);
  const [remoteIp, remotePort] = endpoint(far);
  return new URLSearchParams({
    proto: String(PROTOCOLS[proto] ?? proto),
    public_ip: publicIp,
    public_port: publicPort,
    remote_ip: remoteIp,
    remote_port: remotePort,
  });
}

interface Command {
  path: string;
  method?: 'DELETE';
  /** Most positional arguments. */
  args?: number;
  query?: (options: Options) => URLSearchParams;
  /** Narrows the answer before it is written. */
  select?: (body: unknown, options: Options) => unknown;
  write: (body: never) => string;
  /** A status that is an answer and not a refusal. */
  answers?: number;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  status: { path: '/health', write: writeStatus, answers: 503 },
  rules: { path: '/rules', query: (o) => o.query, write: writeRules },
  publics: { path: '/publics', write: writePublics },
  flows: { path: '/flows', query: (o) => o.query, write: writeFlows },
  drops: {
    path: '/drops',
    select: (body, options) =>
      (body as Drop[]).filter((d) => !options.nonzero || d.count > 0),
    write: writeDrops,
  },
  'kill-flow': {
    path: '/flows',
    method: 'DELETE',
    args: 3,
    query: (o) => killQuery(o.args),
    write: () => 'ended',
  },
};

const FILTERS = [
  'vnet',
  'private-ip',
  'public-ip',
  'remote-ip',
  'limit',
  'cursor',
] as const;

/** Filters that are numbers; what is no number never reaches the daemon. */
const NUMBERS: ReadonlySet<string> = new Set(['vnet', 'limit', 'cursor']);

function parse(argv: string[]) {
  const string = { type: 'string' } as const;
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        json: { type: 'boolean', short: 'j', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        nonzero: { type: 'boolean', short: 'z', default: false },
        url: { ...string, short: 'u', default: 'http://127.0.0.1:2960' },
        vnet: string,
        'private-ip': string,
        'public-ip': string,
        'remote-ip': string,
        limit: string,
        cursor: string,
      },
    });
  } catch (error) {
    // What Node adds after the first sentence is advice to programmers.
    const [said = ''] = (error as Error).message.split(/\.\s/, 1);
    throw new UsageError(said);
  }
}

function describeRefusal(status: number, body: unknown): string {
  const { code, message, errors } = (body ?? {}) as {
    code?: string;
    message?: string;
    errors?: { field: string; message: string }[];
  };
  const fields = (errors ?? []).map((e) => ` ${e.field}: ${e.message}`);
  return `${code ?? status}: ${message ?? 'no reason given'}${fields.join(';')}`;
}

async function run(argv: string[], ask: Ask): Promise<Outcome> {
  const { values, positionals } = parse(argv);
  if (values.help) return { status: 0, stdout: USAGE, stderr: '' };
  const [name, ...args] = positionals;
  if (name === undefined) throw new UsageError('no command given');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`no command "${name}"`);
  if (args.length > (command.args ?? 0)) {
    throw new UsageError(`${name}: unexpected "${args[command.args ?? 0]}"`);
  }
  if (!/^https?:\/\/[^/]/.test(values.url) || !URL.canParse(values.url)) {
    throw new UsageError(`--url: "${values.url}" is not an http:// URL`);
  }
  const query = new URLSearchParams();
  for (const filter of FILTERS) {
    const value = values[filter];
    if (value === undefined) continue;
    if (NUMBERS.has(filter) && !/^\d+$/.test(value)) {
      throw new UsageError(`--${filter}: "${value}" is not a number`);
    }
    query.set(filter.replace('-', '_'), value);
  }
  const options = { json: values.json, nonzero: values.nonzero, query, args };
  const search = (command.query?.(options) ?? new URLSearchParams()).toString();
  const url = `${values.url.replace(/\/$/, '')}${command.path}`;
  const { status, body } = await ask(
    search === '' ? url : `${url}?${search}`,
    command.method ?? 'GET',
  );
  if (status >= 300 && status !== command.answers) {
    const stderr = `vxlnatadm: ${describeRefusal(status, body)}\n`;
    return { status: 1, stdout: '', stderr };
  }
  const selected = command.select?.(body, options) ?? body;
  const stdout = options.json
    ? JSON.stringify(selected ?? null, null, 2)
    : command.write(selected as never);
  return {
    status: status >= 300 ? 1 : 0,
    stdout: `${stdout}\n`,
    stderr: '',
  };
}

/**
 * Runs vxlnatadm.
 * @param argv the command line after the program's name
 * @param ask sends one request
 */
export async function vxlnatadm(argv: string[], ask: Ask): Promise<Outcome> {
  try {
    return await run(argv, ask);
  } catch (error) {
    const { message } = error as Error;
    const usage = error instanceof UsageError;
    return {
      status: usage ? 2 : 1,
      stdout: '',
      stderr: `vxlnatadm: ${message}${usage ? '; see vxlnatadm --help' : ''}\n`,
    };
  }
}
