// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The illumos prototype's configuration file, read into the same values that
 * the control plane would give (facts: svp-portolan-vxlnat 4.3), with three
 * line types and options (rule-words.ts) more:
 *
 *   bind UL3
 *   map VNET VLAN ROUTER-MAC ROUTER-IP/BITS PUBLIC [KEY=VALUE]...
 *   fixed VNET VLAN PRIVATE PUBLIC
 *   remote VNET VLAN IP MAC UL3[:PORT]
 *   limit VNET KEY=VALUE...
 *   drain PUBLIC
 *
 * Pure: text in, values or `FILE:LINE: what is wrong` out. What the prototype's
 * driver would refuse (a `fixed` without its `map`, a public IP with two
 * roles) is refused here, before anything has changed.
 */

import { UsageError } from '#lib/errors.js';
import type { FabricRule, OneToOne } from '#lib/model/dataplane.js';
import type { Limits } from '#lib/model/rule-options.js';
import { cidrOf, contains, formatCidr, parseCidr } from '#lib/net/cidr.js';
import { formatIpv4, type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { formatMac, parseMac } from '#lib/net/mac.js';
import { VNET_MAX } from '#lib/net/vnet.js';
import type { Desired, Remote } from './desired.js';
import { Fault, limitWords, ruleOptions } from './rule-words.js';
import { entryKey, publicsOf, ruleKey } from './world.js';

/** The longest line, newline included: the prototype's buffer. */
const LINE_MAX = 1000;
/** The VXLAN port when a `remote` line names none. */
const VXLAN_PORT = 4789;

/** A fault in the file; `message` begins with `FILE:LINE: `. */
export class ProtoFileError extends UsageError {
  constructor(file: string, line: number, what: string) {
    super(`${file}:${line}: ${what}`);
    this.name = 'ProtoFileError';
  }
}

class Tables {
  readonly ul3s = new Set<string>();
  readonly rules = new Map<string, FabricRule>();
  readonly entries = new Map<string, OneToOne>();
  readonly remotes = new Map<string, Remote>();
  readonly limits = new Map<number, Limits>();
  readonly drains = new Set<string>();
  /** What each public IP is used for. */
  readonly roles = new Map<string, 'map' | 'fixed'>();
}

function address(what: string, text: string): Ipv4 {
  if (text.includes(':')) {
    throw new Fault(`${what} "${text}": IPv6 is not supported`);
  }
  const ip = parseIpv4(text);
  if (ip === null) throw new Fault(`${what} "${text}" is not an IPv4 address`);
  return ip;
}

function number(what: string, text: string, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) {
    throw new Fault(`${what} "${text}" is not a number from 0 to ${max}`);
  }
  return value;
}

function macText(what: string, text: string): string {
  const value = parseMac(text);
  if (value === null) {
    throw new Fault(`${what} "${text}" is not a MAC address`);
  }
  return formatMac(value);
}

function words(fields: string[], form: string): string[] {
  const wanted = form.split(' ').length;
  if (fields.length !== wanted) {
    throw new Fault(
      `expected "${form}", got ${fields.length - 1} of ${wanted - 1} values`,
    );
  }
  return fields.slice(1);
}

function role(tables: Tables, ip: string, wanted: 'map' | 'fixed'): void {
  const has = tables.roles.get(ip);
  if (has !== undefined && (has === 'fixed' || wanted === 'fixed')) {
    throw new Fault(`public address ${ip} is already used by a ${has} line`);
  }
  tables.roles.set(ip, wanted);
}

function bind(tables: Tables, fields: string[]): void {
  const [ip] = words(fields, 'bind UL3') as [string];
  tables.ul3s.add(formatIpv4(address('underlay address', ip)));
}

function map(tables: Tables, fields: string[], line: number): void {
  const form = 'map VNET VLAN ROUTER-MAC ROUTER-IP/BITS PUBLIC';
  const plain = fields.filter((field) => !field.includes('='));
  const options = ruleOptions(fields.filter((field) => field.includes('=')));
  const [vnet, vlan, mac, router, outside] = words(plain, form) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const [routerIp, bits, ...rest] = router.split('/');
  if (bits === undefined || rest.length > 0) {
    throw new Fault(`router "${router}" is not of the form ROUTER-IP/BITS`);
  }
  const gateway = address('router address', routerIp as string);
  const length = number('prefix length', bits, 32);
  const rule: FabricRule = {
    network_uuid: `line ${line}`,
    owner_uuid: '',
    vnet_id: number('vnet', vnet, VNET_MAX),
    vlan_id: number('vlan', vlan, 4094),
    router_mac: macText('router MAC', mac),
    subnet: formatCidr(cidrOf(gateway, length)),
    gateway: formatIpv4(gateway),
    nat_reform_public: formatIpv4(address('public address', outside)),
    ...(options === undefined ? {} : { options }),
  };
  if (tables.rules.has(ruleKey(rule))) {
    throw new Fault(`vnet ${rule.vnet_id} has a map of ${rule.subnet} already`);
  }
  for (const ip of publicsOf(rule)) role(tables, ip, 'map');
  tables.rules.set(ruleKey(rule), rule);
}

function fixed(tables: Tables, fields: string[], line: number): void {
  const form = 'fixed VNET VLAN PRIVATE PUBLIC';
  const [vnet, vlan, inside, outside] = words(fields, form) as [
    string,
    string,
    string,
    string,
  ];
  const privateIp = address('private address', inside);
  const entry: OneToOne = {
    aip_uuid: `line ${line}`,
    vnet_id: number('vnet', vnet, VNET_MAX),
    vlan_id: number('vlan', vlan, 4094),
    private_ip: formatIpv4(privateIp),
    public_ip: formatIpv4(address('public address', outside)),
  };
  const covered = [...tables.rules.values()].some((rule) => {
    const subnet = parseCidr(rule.subnet);
    return (
      rule.vnet_id === entry.vnet_id &&
      subnet !== null &&
      contains(subnet, privateIp)
    );
  });
  if (!covered) {
    throw new Fault(
      `no map line before this one covers ${entry.private_ip} ` +
        `in vnet ${entry.vnet_id}`,
    );
  }
  const key = entryKey(entry.vnet_id, entry.private_ip);
  if (tables.entries.has(key)) {
    throw new Fault(
      `${entry.private_ip} in vnet ${entry.vnet_id} is fixed already`,
    );
  }
  role(tables, entry.public_ip, 'fixed');
  tables.entries.set(key, entry);
}

function remote(tables: Tables, fields: string[]): void {
  const form = 'remote VNET VLAN IP MAC UL3[:PORT]';
  const [vnet, vlan, inside, mac, underlay] = words(fields, form) as [
    string,
    string,
    string,
    string,
    string,
  ];
  number('vlan', vlan, 4094);
  const [ul3, portText, ...rest] = underlay.split(':');
  if (rest.length > 0) {
    throw new Fault(`underlay "${underlay}" is not of the form UL3[:PORT]`);
  }
  const port =
    portText === undefined ? VXLAN_PORT : number('port', portText, 65535);
  if (port === 0) throw new Fault('port "0" is not a number from 1 to 65535');
  const value: Remote = {
    vnet_id: number('vnet', vnet, VNET_MAX),
    ip: formatIpv4(address('address', inside)),
    mac: macText('MAC', mac),
    ul3_ip: formatIpv4(address('underlay address', ul3 as string)),
    ul3_port: port,
  };
  const key = entryKey(value.vnet_id, value.ip);
  if (tables.remotes.has(key)) {
    throw new Fault(
      `${value.ip} in vnet ${value.vnet_id} has a remote already`,
    );
  }
  tables.remotes.set(key, value);
}

function limit(tables: Tables, fields: string[]): void {
  const [, vnet, ...rest] = fields;
  if (vnet === undefined || rest.length === 0) {
    throw new Fault('expected "limit VNET KEY=VALUE..."');
  }
  const id = number('vnet', vnet, VNET_MAX);
  if (tables.limits.has(id)) throw new Fault(`vnet ${id} has limits already`);
  tables.limits.set(id, limitWords(rest));
}

function drain(tables: Tables, fields: string[]): void {
  const [ip] = words(fields, 'drain PUBLIC') as [string];
  tables.drains.add(formatIpv4(address('public address', ip)));
}

const READERS: Readonly<
  Record<string, (tables: Tables, fields: string[], line: number) => void>
> = { bind, map, fixed, remote, limit, drain };

function readLine(tables: Tables, text: string, line: number): void {
  if (Buffer.byteLength(text) + 1 > LINE_MAX) {
    throw new Fault(`line is longer than ${LINE_MAX - 1} bytes`);
  }
  if (text.startsWith('#')) return;
  const fields = text.split(/[ \t\r]+/).filter((field) => field !== '');
  const word = fields[0];
  if (word === undefined) return;
  if (!Object.hasOwn(READERS, word)) {
    throw new Fault(
      `unknown word "${word}"; expected ${Object.keys(READERS).join(', ')}`,
    );
  }
  READERS[word]?.(tables, fields, line);
}

/**
 * Reads a file's text.
 * @param file its name, for messages
 * @throws ProtoFileError at the first fault
 */
export function parseProtoFile(file: string, text: string): Desired {
  const tables = new Tables();
  text.split('\n').forEach((content, i) => {
    try {
      readLine(tables, content, i + 1);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new ProtoFileError(file, i + 1, error.message);
    }
  });
  const publics = new Set(tables.roles.keys());
  return {
    ul3s: tables.ul3s,
    // Nobody else can be the owner: the addresses bound are this host's.
    takeovers: new Set(),
    claims: tables.ul3s,
    rules: tables.rules,
    entries: tables.entries,
    remotes: tables.remotes,
    limits: tables.limits,
    drains: tables.drains,
    routed: publics,
    announced: publics,
  };
}
