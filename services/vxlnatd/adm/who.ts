// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `vxlnatadm who`: reads the NAT log, not the daemon, so that it answers for
 * zones that are gone too.
 */

import { UsageError } from '#lib/errors.js';
import { formatIpv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { table } from '#lib/service/table.js';
import { parseLine } from '../nat-log/json-lines.js';
import { type Answer, type Question, who } from '../nat-log/who.js';
import { endpoint, type Options, protocolName } from './arguments.js';
import type { Live, Outcome } from './live.js';

function question(options: Options): Question {
  const [subject] = options.args;
  if (subject === undefined || options.at === null) {
    throw new UsageError('who needs PUBLIC:PORT and --at TIME');
  }
  const [host, port] = endpoint(subject);
  const public_ip = parseIpv4(host);
  const public_port = Number(port);
  if (public_ip === null || !(public_port > 0 && public_port < 65536)) {
    throw new UsageError(`who: "${subject}" is not of the form IP:PORT`);
  }
  const at_ms = Date.parse(options.at);
  if (Number.isNaN(at_ms)) {
    throw new UsageError(
      `--at: "${options.at}" is not a time such as 2026-01-01T12:00:00Z`,
    );
  }
  const asked: Question = { public_ip, public_port, at_ms };
  const proto = options.query.get('proto');
  if (proto !== null) asked.proto = Number(proto);
  const remote = options.query.get('remote_ip');
  if (remote === null) return asked;
  const remote_ip = parseIpv4(remote);
  if (remote_ip === null) {
    throw new UsageError(`--remote-ip: "${remote}" is not an IPv4 address`);
  }
  return { ...asked, remote_ip };
}

async function* logged(live: Live, path: string) {
  for await (const line of live.lines(path)) {
    const event = parseLine(line);
    if (event !== null) yield event;
  }
}

function readable(answer: Answer) {
  const time = (ms: number | null) =>
    ms === null ? null : new Date(ms).toISOString();
  const { private_ip, remote_ip, from_ms, until_ms, ...rest } = answer;
  return {
    ...rest,
    private_ip: formatIpv4(ipv4(private_ip)),
    remote_ip: remote_ip === 0 ? null : formatIpv4(ipv4(remote_ip)),
    from: time(from_ms),
    until: time(until_ms),
  };
}

/** Status 1 when nobody had it. */
export async function whoHad(options: Options, live: Live): Promise<Outcome> {
  if (options.log === null) {
    throw new UsageError('who needs --log FILE, the nat_log of the zone');
  }
  const asked = question(options);
  const answers = (await who(logged(live, options.log), asked)).map(readable);
  const text = table(
    [
      { name: 'VNET', cell: (a) => a.vnet },
      {
        name: 'PRIVATE',
        cell: (a) =>
          a.private_port === 0
            ? a.private_ip
            : `${a.private_ip}:${a.private_port}`,
      },
      {
        name: 'PROTO',
        cell: (a) => (a.proto === 0 ? '-' : protocolName(a.proto)),
      },
      {
        name: 'REMOTE',
        cell: (a) =>
          a.remote_ip === null ? '-' : `${a.remote_ip}:${a.remote_port}`,
      },
      { name: 'FROM', cell: (a) => a.from ?? 'before the log' },
      { name: 'UNTIL', cell: (a) => a.until ?? 'still' },
      { name: 'ZONE', cell: (a) => a.zone_uuid },
    ],
    answers,
  );
  return {
    status: answers.length > 0 ? 0 : 1,
    stdout: `${options.json ? JSON.stringify(answers, null, 2) : text}\n`,
    stderr: answers.length > 0 ? '' : 'vxlnatadm: nobody, by this log\n',
  };
}
