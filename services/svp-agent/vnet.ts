// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One vnet's overlay on this node: what its VXLAN device has been told, what
 * is being asked, and how misses, shootdowns and events change it.
 *
 * Invariants:
 *  - The table here is what the kernel has: the kernel's entries are permanent
 *    and never forgotten, so a shootdown must find them here.
 *  - An answer is applied only if nothing that it is about changed while it was
 *    under way; else the question is asked again. The last word is the newest.
 *  - An endpoint is replaced, not removed and found again: packets of a moving
 *    router have a way to go at each moment.
 *  - "Nobody answers" changes nothing; "not found" removes.
 */

import type { Clock } from '#lib/clock.js';
import type { Ipv4 } from '#lib/net/ipv4.js';
import type { Mac } from '#lib/net/mac.js';
import type { Logger } from '#lib/service/log.js';
import type { SvpClient } from '#lib/svp/client.js';
import type { Ul3, Vl2Answer, Vl3Answer } from '#lib/svp/messages.js';

import { createAsking, type Question } from './asking.js';

/** What the kernel can be told about one VXLAN device. */
export interface DeviceTables {
  setNeighbour(ip: Ipv4, mac: Mac): void;
  removeNeighbour(ip: Ipv4): void;
  setEndpoint(mac: Mac, at: Ul3): void;
  removeEndpoint(mac: Mac): void;
}

export interface VnetOptions {
  vnet: number;
  svp: Pick<SvpClient, 'vl2' | 'vl3'>;
  tables: DeviceTables;
  /** A MAC that is here needs no endpoint: the bridge has it. */
  underlayIp: Ipv4;
  clock: Clock;
  log: Logger;
  /** Tells the instances which MAC an IP has now. */
  announce: (ip: Ipv4, mac: Mac) => void;
}

export interface Vnet {
  /** The kernel has no MAC for an IP. Never rejects. */
  missIp(ip: Ipv4): Promise<void>;
  /** The kernel has no endpoint for a MAC. Never rejects. */
  missMac(mac: Mac): Promise<void>;
  /** A VL2 shootdown. Rejects when nobody answered. */
  shootMac(mac: Mac): Promise<void>;
  /** A VL3 shootdown. Rejects when nobody answered. */
  shootIp(ip: Ipv4): Promise<void>;
  /** A mapping as it is now, from a changefeed event; null: it is gone. */
  changed(ip: Ipv4, to: (Ul3 & { mac: Mac }) | null): void;
  /** Asks again about everything that the kernel has. */
  refresh(): Promise<void>;
  /** Takes over entries that a device already has. */
  adopt(neighbours: [Ipv4, Mac][], endpoints: [Mac, Ul3][]): void;
  size(): { neighbours: number; endpoints: number; asking: number };
}

/** How long "not found" is believed. */
const NEGATIVE_MS = 1000;
/** Questions under way and negative answers kept, at most. */
const MAX_ASKING = 1024;
const MAX_NEGATIVE = 4096;
/** Questions put at once when everything is asked about. */
const AT_A_TIME = 256;

const ipKey = (ip: Ipv4) => `ip ${ip}`;
const macKey = (mac: Mac) => `mac ${mac}`;

/** Does something for each item, a bounded number at a time. */
async function inTurn<T>(
  items: T[],
  act: (item: T) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < items.length; at += AT_A_TIME) {
    await Promise.all(items.slice(at, at + AT_A_TIME).map(act));
  }
}

/** Keys that were not found a moment ago. */
function createNegative(clock: Clock) {
  const until = new Map<string, number>();
  return {
    has(key: string): boolean {
      const end = until.get(key);
      if (end === undefined) return false;
      if (clock.monotonic() < end) return true;
      until.delete(key);
      return false;
    },
    add(key: string): void {
      if (until.size >= MAX_NEGATIVE) until.clear();
      until.set(key, clock.monotonic() + NEGATIVE_MS);
    },
    clear: () => until.clear(),
  };
}

/** The kernel's entries with our copy of them. */
function createTable(options: VnetOptions) {
  const { tables } = options;
  const neighbours = new Map<Ipv4, Mac>();
  const endpoints = new Map<Mac, Ul3>();
  return {
    neighbours,
    endpoints,
    setMac(mac: Mac, at: Ul3): void {
      if (at.ip === options.underlayIp) {
        if (endpoints.delete(mac)) tables.removeEndpoint(mac);
        return;
      }
      const now = endpoints.get(mac);
      if (now?.ip === at.ip && now.port === at.port) return;
      endpoints.set(mac, { ip: at.ip, port: at.port });
      tables.setEndpoint(mac, at);
    },
    setIp(ip: Ipv4, mac: Mac): void {
      const now = neighbours.get(ip);
      if (now === mac) return;
      neighbours.set(ip, mac);
      tables.setNeighbour(ip, mac);
      options.announce(ip, mac);
    },
    removeIp(ip: Ipv4): void {
      if (neighbours.delete(ip)) tables.removeNeighbour(ip);
    },
    removeMac(mac: Mac): void {
      if (endpoints.delete(mac)) tables.removeEndpoint(mac);
      for (const [ip, owner] of neighbours) {
        if (owner === mac) this.removeIp(ip);
      }
    },
  };
}

/** The questions of one vnet, and what their answers do. */
function createQuestions(
  { svp, vnet }: VnetOptions,
  table: ReturnType<typeof createTable>,
  negative: ReturnType<typeof createNegative>,
) {
  function ip(of: Ipv4): Question<Vl3Answer> {
    const key = ipKey(of);
    return {
      key,
      ask: () => svp.vl3(vnet, of),
      about: (answer) => (answer === null ? [] : [macKey(answer.mac)]),
      apply(answer) {
        if (answer === null) {
          negative.add(key);
          table.removeIp(of);
          return;
        }
        // The endpoint first: with the MAC alone the next packet would miss.
        table.setMac(answer.mac, answer);
        table.setIp(of, answer.mac);
      },
    };
  }

  function mac(of: Mac): Question<Vl2Answer> {
    const key = macKey(of);
    return {
      key,
      ask: () => svp.vl2(vnet, of),
      about: () => [],
      apply(answer) {
        if (answer !== null) {
          table.setMac(of, answer);
          return;
        }
        negative.add(key);
        table.removeMac(of);
      },
    };
  }

  return { ip, mac };
}

/**
 * Makes the logic of one vnet.
 * @param options vnet, SVP, the device's tables and what tells instances
 */
export function createVnet(options: VnetOptions): Vnet {
  const { log } = options;
  const asking = createAsking();
  const negative = createNegative(options.clock);
  const table = createTable(options);
  const questions = createQuestions(options, table, negative);
  const askIp = (ip: Ipv4, fresh: boolean) =>
    asking.once(questions.ip(ip), fresh);
  const askMac = (mac: Mac, fresh: boolean) =>
    asking.once(questions.mac(mac), fresh);

  async function miss(key: string, ask: () => Promise<void>): Promise<void> {
    if (negative.has(key) || asking.size() >= MAX_ASKING) return;
    try {
      await ask();
    } catch (err) {
      log.debug({ err, key }, 'miss not answered; the next packet asks again');
    }
  }

  return {
    missIp: (ip) => miss(ipKey(ip), () => askIp(ip, false)),
    missMac: (mac) => miss(macKey(mac), () => askMac(mac, false)),
    async shootMac(mac) {
      negative.clear();
      asking.changed(macKey(mac));
      const used =
        table.endpoints.has(mac) ||
        [...table.neighbours.values()].includes(mac);
      if (used) await askMac(mac, true);
    },
    async shootIp(ip) {
      negative.clear();
      asking.changed(ipKey(ip));
      if (table.neighbours.has(ip)) await askIp(ip, true);
    },
    changed(ip, to) {
      negative.clear();
      asking.changed(ipKey(ip), ...(to === null ? [] : [macKey(to.mac)]));
      if (to === null) table.removeIp(ip);
      else {
        if (table.endpoints.has(to.mac) || table.neighbours.has(ip)) {
          table.setMac(to.mac, to);
        }
        if (table.neighbours.has(ip)) table.setIp(ip, to.mac);
      }
    },
    async refresh() {
      const ips = [...table.neighbours.keys()];
      const macs = [...table.endpoints.keys()];
      await inTurn(ips, (ip) => askIp(ip, true));
      await inTurn(macs, (mac) => askMac(mac, true));
    },
    adopt(neighbours, endpoints) {
      for (const [ip, mac] of neighbours) table.neighbours.set(ip, mac);
      for (const [mac, at] of endpoints) table.endpoints.set(mac, at);
    },
    size: () => ({
      neighbours: table.neighbours.size,
      endpoints: table.endpoints.size,
      asking: asking.size(),
    }),
  };
}
