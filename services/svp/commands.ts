// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What svp's commands ask, and how they write the answer. */

import { UsageError } from '#lib/errors.js';
import { formatIpv4, parseIpv4 } from '#lib/net/ipv4.js';
import { formatMac, parseMac } from '#lib/net/mac.js';
import { isVnet } from '#lib/net/vnet.js';
import type { SvpClient } from '#lib/svp/client.js';
import type { LogRecord, Ul3 } from '#lib/svp/messages.js';

export interface Answer {
  found: boolean;
  /** For people. */
  text: string;
  /** For machines. */
  value: unknown;
}

type Ask = (client: SvpClient) => Promise<Answer>;

/** Reads its arguments; throws UsageError before anything is asked. */
export type Command = (args: string[]) => Ask;

function take<T>(name: string, text: string | undefined, value: T | null): T {
  if (text === undefined) throw new UsageError(`${name} is required`);
  if (value === null) throw new UsageError(`"${text}" is not ${name}`);
  return value;
}

function vnet(text?: string): number {
  const value = text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
  return take('a VNET (0 to 16777215)', text, isVnet(value) ? value : null);
}

const mac = (text?: string) => take('a MAC', text, parseMac(text ?? ''));
const ip = (text?: string) =>
  take('an IPv4 address', text, parseIpv4(text ?? ''));

function noMore(args: string[]): void {
  if (args.length > 0) throw new UsageError(`too many args: ${args.join(' ')}`);
}

const NOT_FOUND: Answer = { found: false, text: 'not found', value: null };

function placed({ ip: at, port }: Ul3): { ul3_ip: string; ul3_port: number } {
  return { ul3_ip: formatIpv4(at), ul3_port: port };
}

function record(each: LogRecord): Record<string, unknown> {
  const { id, type } = each;
  return each.type === 'vl2'
    ? { type, vnet: each.vnet, mac: formatMac(each.mac), id }
    : { type, vnet: each.vnet, ip: formatIpv4(each.ip), vlan: each.vlan, id };
}

function listed(records: LogRecord[], what: string): Answer {
  const value = records.map(record);
  const lines = value.map((each) =>
    Object.entries(each)
      .map(([name, said]) => (name === 'type' ? said : `${name} ${said}`))
      .join(' '),
  );
  return {
    found: true,
    value,
    text: [...lines, `${records.length} ${what}`].join('\n'),
  };
}

/** By name. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  ping: (args) => {
    noMore(args);
    return async (client) => {
      await client.ping();
      return { found: true, text: 'pong', value: { pong: true } };
    };
  },
  vl2: ([net, address, ...rest]) => {
    const [number, wanted] = [vnet(net), mac(address)];
    noMore(rest);
    return async (client) => {
      const answer = await client.vl2(number, wanted);
      if (answer === null) return NOT_FOUND;
      const value = placed(answer);
      return { found: true, text: `${value.ul3_ip}:${value.ul3_port}`, value };
    };
  },
  vl3: ([net, address, ...rest]) => {
    const [number, wanted] = [vnet(net), ip(address)];
    noMore(rest);
    return async (client) => {
      const answer = await client.vl3(number, wanted);
      if (answer === null) return NOT_FOUND;
      const value = { mac: formatMac(answer.mac), ...placed(answer) };
      const text = `${value.mac} at ${value.ul3_ip}:${value.ul3_port}`;
      return { found: true, text, value };
    };
  },
  log: ([node, ...rest]) => {
    const wanted = ip(node);
    noMore(rest);
    return async (client) => {
      const records = await client.logRequest(wanted);
      return records === null ? NOT_FOUND : listed(records, 'waiting');
    };
  },
  'log-rm': ([node, ...rest]) => {
    const wanted = ip(node);
    noMore(rest);
    return async (client) => {
      const records = await client.logRequest(wanted);
      if (records === null) return NOT_FOUND;
      if (records.length > 0) await client.logRemove(records.map((r) => r.id));
      return listed(records, 'removed');
    };
  },
};
