// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Tells the instances on a bridge which MAC an IP has, with the gratuitous ARP
 * request that varpd injects (facts: svp-portolan-vxlnat 3.2). When a MAC
 * changes, they would otherwise send to the old one until their entry expires;
 * when it was just found, they would wait a second before asking again, since
 * the kernel drops the ARP request that it reports as a miss.
 *
 * A frame whose source is somebody else's MAC takes a raw socket, which this
 * process does not have. The kernel sends one itself when a device that has an
 * address gets a MAC and has `arp_notify`. So each bridge has a port whose
 * other end lies in a network namespace of its own, is given address and MAC
 * for a moment, and loses the address again. The bridge learns nothing from
 * that port and floods nothing to it, so it can only speak.
 */

import { existsSync } from 'node:fs';
import type { Clock } from '#lib/clock.js';
import { formatIpv4, type Ipv4 } from '#lib/net/ipv4.js';
import { formatMac, type Mac } from '#lib/net/mac.js';
import type { Logger } from '#lib/service/log.js';
import type { Commands } from './commands.js';

export interface Announcer {
  /**
   * Gives a bridge its port. Without one, which is logged, instances still
   * learn everything, later.
   */
  attach(bridge: string): Promise<void>;
  /** Announces on a bridge that has a port; else does nothing. */
  announce(bridge: string, ip: Ipv4, mac: Mac): void;
  /** Removes ports and namespace. */
  close(): Promise<void>;
}

export interface AnnouncerOptions {
  /** Commands where the bridges are. */
  commands: Commands;
  /** Commands in the announcer's own namespace, `name`. */
  inside: Commands;
  clock: Clock;
  log: Logger;
  /** Of the namespace: `sa` and the process id, at most 10 characters. */
  name: string;
}

/** The entries that the next packet needs are set by other processes. */
const SETTLE_MS = 3;
const CARRIER_POLL_MS = 20;
const CARRIER_TRIES = 100;

/** Removes namespaces of agents that were killed. */
async function sweep(commands: Commands): Promise<void> {
  const listed = await commands.outside(['ip', 'netns', 'list']);
  for (const [, name = '', pid = ''] of listed.matchAll(/^(sa(\d+))\b/gm)) {
    if (existsSync(`/proc/${pid}`)) continue;
    await commands.outside(['ip', 'netns', 'del', name]);
  }
}

/** Makes an announcer; it has no namespace before the first `attach`. */
export function createAnnouncer(options: AnnouncerOptions): Announcer {
  const { commands, inside, clock, log, name } = options;
  /** The far end of each bridge's port. */
  const peers = new Map<string, string>();
  let made = false;

  async function make(): Promise<void> {
    if (made) return;
    await sweep(commands);
    await commands.outside(['ip', 'netns', 'add', name]);
    made = true;
    for (const setting of [
      'net.ipv4.conf.default.arp_notify=1',
      'net.ipv6.conf.default.disable_ipv6=1',
    ]) {
      const words = ['ip', 'netns', 'exec', name, 'sysctl', '-qw', setting];
      await commands.outside(words);
    }
  }

  /** The bridge drops what comes before its port has a carrier. */
  async function carrier(port: string): Promise<void> {
    for (let tries = 0; tries < CARRIER_TRIES; tries++) {
      const shown = await commands.run('ip', `link show dev ${port}`);
      if (/state UP/.test(shown)) return;
      await new Promise<void>((resolve) => {
        clock.after(CARRIER_POLL_MS, resolve);
      });
    }
    throw new Error(`${port} has no carrier`);
  }

  async function addPort(bridge: string): Promise<void> {
    await make();
    const port = `${name}p${peers.size}`;
    const peer = `${name}q${peers.size}`;
    await commands.run(
      'ip',
      `link add name ${port} type veth peer name ${peer} netns ${name}`,
    );
    await commands.run('ip', `link set dev ${port} master ${bridge}`);
    await commands.run(
      'bridge',
      `link set dev ${port} learning off flood off mcast_flood off ` +
        'bcast_flood off',
    );
    await commands.run('ip', `link set dev ${port} up`);
    await inside.run('ip', `link set dev ${peer} up`);
    await carrier(port);
    peers.set(bridge, peer);
  }

  return {
    async attach(bridge) {
      if (peers.has(bridge)) return;
      try {
        await addPort(bridge);
      } catch (err) {
        log.warn({ err, bridge }, 'no announcements on this bridge');
      }
    },
    announce(bridge, ip, mac) {
      const peer = peers.get(bridge);
      if (peer === undefined) return;
      const address = `${formatIpv4(ip)}/32 dev ${peer}`;
      clock.after(SETTLE_MS, () => {
        if (!made) return;
        inside.stream('ip', `addr add ${address}`);
        inside.stream('ip', `link set dev ${peer} address ${formatMac(mac)}`);
        inside.stream('ip', `addr del ${address}`);
      });
    },
    async close() {
      inside.close();
      peers.clear();
      if (!made) return;
      made = false;
      try {
        // The ports go with their far ends.
        await commands.outside(['ip', 'netns', 'del', name]);
      } catch (err) {
        log.warn({ err }, 'namespace not removed');
      }
    },
  };
}
