// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What `ip` and `bridge` print, read back: misses that the kernel reports and
 * entries that a VXLAN device has. Pure.
 */

import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac } from '#lib/net/mac.js';

/** The kernel wants to know who has an IP, or where a MAC is. */
export type Miss = { device: string; ip: Ipv4 } | { device: string; mac: Mac };

/**
 * Reads a line of `ip monitor neigh`.
 * @returns null for a line that is no miss, or is one of IPv6: no fabric has
 *   it, but devices and bridges ask for their neighbours all the same
 */
export function parseMiss(line: string): Miss | null {
  const match = /^miss (?:(\S+) )?dev (\S+)(?: lladdr (\S+))?/.exec(line);
  if (match === null) return null;
  const [, address, device, lladdr] = match;
  if (device === undefined) return null;
  if (address !== undefined) {
    const ip = parseIpv4(address);
    return ip === null ? null : { device, ip };
  }
  const mac = lladdr === undefined ? null : parseMac(lladdr);
  return mac === null ? null : { device, mac };
}

/** Reads `ip -j neigh show dev X nud permanent`. */
export function parseNeighbours(json: string): [Ipv4, Mac][] {
  const rows = JSON.parse(json || '[]') as { dst?: string; lladdr?: string }[];
  return rows.flatMap((row): [Ipv4, Mac][] => {
    const ip = parseIpv4(row.dst ?? '');
    const mac = parseMac(row.lladdr ?? '');
    return ip === null || mac === null ? [] : [[ip, mac]];
  });
}

/** Reads `bridge -j fdb show dev X`: entries with a remote endpoint. */
export function parseFdb(json: string): [Mac, Ipv4, number | null][] {
  const rows = JSON.parse(json || '[]') as {
    mac?: string;
    dst?: string;
    port?: number;
  }[];
  return rows.flatMap((row): [Mac, Ipv4, number | null][] => {
    const mac = parseMac(row.mac ?? '');
    const ip = parseIpv4(row.dst ?? '');
    return mac === null || ip === null ? [] : [[mac, ip, row.port ?? null]];
  });
}

/** What of an existing VXLAN device must agree for it to be taken over. */
export interface VxlanDevice {
  vnet: number;
  local: string;
  port: number;
}

/** Reads `ip -j -d link show dev X`; null when it is no VXLAN device. */
export function parseVxlan(json: string): VxlanDevice | null {
  const rows = JSON.parse(json || '[]') as {
    linkinfo?: {
      info_kind?: string;
      info_data?: { id?: number; local?: string; port?: number };
    };
  }[];
  const info = rows[0]?.linkinfo;
  const data = info?.info_data;
  if (info?.info_kind !== 'vxlan' || data === undefined) return null;
  return {
    vnet: data.id ?? -1,
    local: data.local ?? '',
    port: data.port ?? -1,
  };
}
