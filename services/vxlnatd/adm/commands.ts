// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatadm's subcommands: each asks the daemon's admin interface and writes
 * the answer as a table, or as the JSON that it got. Command lines in, text
 * and a status out; `main.ts` has the process.
 */

import { UsageError } from '#lib/errors.js';
import {
  endpoint,
  exactFlow,
  type Options,
  parse,
  protocolNumber,
} from './arguments.js';
import { address, LASTING, type Live, type Outcome, refusal } from './live.js';
import {
  type Drop,
  writeDrops,
  writeFlows,
  writeMapped,
  writePublics,
  writeRules,
  writeStatus,
  writeStory,
} from './show.js';
import { writeBgp } from './show-bgp.js';

export type { Ask, Live, Outcome } from './live.js';

export const USAGE = `usage: vxlnatadm [-j] [-u URL] COMMAND [ARGUMENTS]

Shows what one zone's vxlnatd does, and looks into its engine.

commands:
  status                        health, position, digest, addresses
  rules [--vnet N]              SNAT rules and 1:1 entries
  nat forward VNET IP           public address and ports of a host, by its rule
  nat reverse PUBLIC:PORT       whose port it is, or by which rules
  publics                       public IPs, who serves them, what is announced
  bgp                           upstream routers, and which is sent what
  flows [FILTERS] [--watch]     live flows; also --limit N, --cursor N
  flows kill FILTERS [--yes]    counts the flows that match; --yes ends them
  kill-flow PROTO PUBLIC:PORT REMOTE:PORT
                                ends one flow; PROTO is tcp, udp, icmp or a
                                number
  drops [-z]                    dropped packets by reason; -z leaves out zeros
  explain [--vnet N] PROTO SRC[:PORT] DST[:PORT]
                                what would become of this packet, from a host
                                of the vnet or without one from outside; also
                                --flags SA, --ttl N, --size N, --icmp-type N
  trace [FILTERS]               what becomes of each packet, stage by stage
  pcap -w FILE [FILTERS]        packets as pcapng; FILE may be - ; also
                                --point outer,inner,translated,drop (default
                                drop), --snap BYTES
  who PUBLIC:PORT --at TIME --log FILE
                                who had a public port, by the NAT log; also
                                --proto PROTO, --remote-ip IP
  top [--once]                  vnets, public IPs and drops as they go
  detach                        takes the XDP program away, also after vxlnatd
                                has died

filters: --vnet N, --private-ip IP, --public-ip IP, --remote-ip IP,
  --proto PROTO, --port N; of trace and pcap also --direction out|in,
  --drop REASON, --count N (default 100), --seconds N (default 60)

options:
  -j, --json        the daemon's answer as JSON
  -u, --url         the daemon (default http://127.0.0.1:2960)
  -c, --config      the daemon's configuration file, which says where it is
  -i, --interval S  seconds between two looks of --watch and top (default 1)
  -h, --help        this text

exit status: 0 success, 1 the daemon refused, is not ready, does not announce
as it should (bgp) or does not answer, 2 usage
`;

interface Command {
  path: string;
  method?: 'DELETE';
  /** Most positional arguments. */
  args?: number;
  query?: (options: Options) => URLSearchParams;
  /** Narrows the answer before it is written. */
  select?: (body: unknown, options: Options) => unknown;
  write: (body: never, options: Options) => string;
  /** A status that is an answer and not a refusal. */
  answers?: number;
}

/** `explain PROTO SRC[:PORT] DST[:PORT]`. */
function asked(options: Options): URLSearchParams {
  const [proto, from, to] = options.args;
  if (proto === undefined || from === undefined || to === undefined) {
    throw new UsageError('explain needs PROTO SRC[:PORT] DST[:PORT]');
  }
  const [src, sport] = endpoint(from, '0');
  const [dst, dport] = endpoint(to, '0');
  const query = new URLSearchParams(options.query);
  const named = { proto: protocolNumber(proto), src, sport, dst, dport };
  for (const [name, value] of Object.entries(named)) query.set(name, value);
  return query;
}

/** `flows kill`: what it would end, or with --yes ends it. */
function kill(options: Options): Command {
  if (options.args[0] !== 'kill') {
    throw new UsageError(`flows: unexpected "${options.args[0]}"`);
  }
  const query = new URLSearchParams(options.query);
  if (query.size === 0) {
    throw new UsageError('flows kill needs a filter, such as --vnet N');
  }
  if (!options.yes) query.set('dry_run', 'true');
  return {
    path: '/flows/matching',
    method: 'DELETE',
    query: () => query,
    write: ({ flows }: { flows: number }) =>
      options.yes
        ? `ended: ${flows}`
        : `flows that match: ${flows}; --yes ends them`,
  };
}

/** `forward VNET IP` or `reverse PUBLIC:PORT` as a query. */
function mapping(options: Options): URLSearchParams {
  const [way, first, second] = options.args;
  if (way === 'forward' && first !== undefined && second !== undefined) {
    return new URLSearchParams({ vnet: first, ip: second });
  }
  if (way === 'reverse' && first !== undefined && second === undefined) {
    const [public_ip, port] = endpoint(first);
    return new URLSearchParams({ public_ip, port });
  }
  throw new UsageError('nat needs forward VNET IP or reverse PUBLIC:PORT');
}

const COMMANDS: Readonly<Record<string, Command>> = {
  status: { path: '/health', write: writeStatus, answers: 503 },
  rules: { path: '/rules', query: (o) => o.query, write: writeRules },
  publics: { path: '/publics', write: writePublics },
  bgp: { path: '/bgp', write: writeBgp, answers: 503 },
  flows: { path: '/flows', args: 1, query: (o) => o.query, write: writeFlows },
  nat: { path: '/nat', args: 3, query: mapping, write: writeMapped },
  explain: { path: '/explain', args: 3, query: asked, write: writeStory },
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
    query: (o) => exactFlow(o.args),
    write: () => 'ended',
  },
};

/** One question, one answer. */
async function once(
  command: Command,
  options: Options,
  live: Live,
): Promise<Outcome> {
  const search = command.query?.(options) ?? new URLSearchParams();
  const { status, body } = await live.ask(
    address(options, command.path, search),
    command.method ?? 'GET',
  );
  if (status >= 300 && status !== command.answers) {
    return refusal(status, body);
  }
  const selected = command.select?.(body, options) ?? body;
  const stdout = options.json
    ? JSON.stringify(selected ?? null, null, 2)
    : command.write(selected as never, options);
  return {
    status: status >= 300 ? 1 : 0,
    stdout: `${stdout}\n`,
    stderr: '',
  };
}

async function run(argv: string[], live: Live): Promise<Outcome> {
  const { help, name, options } = parse(argv);
  if (help) return { status: 0, stdout: USAGE, stderr: '' };
  if (name === undefined) throw new UsageError('no command given');
  const lasting = Object.hasOwn(LASTING, name) ? LASTING[name] : undefined;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (lasting === undefined && command === undefined) {
    throw new UsageError(`no command "${name}"`);
  }
  const most = name === 'who' ? 1 : (command?.args ?? 0);
  if (options.args.length > most) {
    throw new UsageError(`${name}: unexpected "${options.args[most]}"`);
  }
  if (name === 'flows' && options.args.length > 0) {
    return once(kill(options), options, live);
  }
  if (lasting !== undefined && (command === undefined || options.watch)) {
    return lasting(options, live);
  }
  return once(command as Command, options, live);
}

/**
 * Runs vxlnatadm.
 * @param argv the command line after the program's name
 * @param live the daemon and the terminal
 */
export async function vxlnatadm(argv: string[], live: Live): Promise<Outcome> {
  try {
    return await run(argv, live);
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
