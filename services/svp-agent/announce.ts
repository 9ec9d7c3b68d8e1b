// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Tells the instances on a bridge that an IP has another MAC, with the same
 * gratuitous ARP request that varpd injects (facts: svp-portolan-vxlnat 3.2).
 *
 * A frame whose source is somebody else's MAC takes a raw socket, which this
 * process does not have; the kernel sends one itself when a device that has
 * an address gets another MAC and has `arp_notify`. So there is, for a moment,
 * a bridge port whose other end lies in a network namespace of its own. The
 * port goes, and with it what the bridge learned from it.
 */

import type { Clock } from '#lib/clock.js';
import { formatIpv4, type Ipv4 } from '#lib/net/ipv4.js';
import { formatMac, type Mac } from '#lib/net/mac.js';
import type { Logger } from '#lib/service/log.js';
import type { Commands } from './commands.js';

export interface Announcer {
  /** Queues an announcement on a bridge; failures are logged. */
  announce(bridge: string, ip: Ipv4, mac: Mac): void;
  /** Removes what is left of it. */
  close(): Promise<void>;
}

const CARRIER_POLL_MS = 20;
const CARRIER_TRIES = 100;
/** Announcements that may wait; instances ask again by themselves anyway. */
const MAX_WAITING = 256;

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/**
 * Makes an announcer.
 * @param name unique on this machine: of the namespace and the devices, at
 *   most 13 characters
 */
export function createAnnouncer(
  commands: Commands,
  clock: Clock,
  log: Logger,
  name: string,
): Announcer {
  const waiting: { bridge: string; ip: Ipv4; mac: Mac }[] = [];
  let working: Promise<void> | null = null;
  let made = false;

  async function make(): Promise<void> {
    if (made) return;
    await commands.outside(['ip', 'netns', 'add', name]);
    made = true;
    const settings = ['net.ipv4.conf.default.arp_notify=1'];
    settings.push('net.ipv6.conf.default.disable_ipv6=1');
    for (const setting of settings) {
      const words = ['ip', 'netns', 'exec', name, 'sysctl', '-qw', setting];
      await commands.outside(words);
    }
  }

  /** Nothing of ours stays where an instance's traffic goes. */
  async function unmake(): Promise<void> {
    if (!made) return;
    made = false;
    try {
      await commands.outside(['ip', 'netns', 'del', name]);
    } catch (err) {
      log.warn({ err }, 'namespace not removed');
    }
  }

  /** The bridge drops what comes before its port has a carrier. */
  async function carrier(port: string): Promise<void> {
    for (let tries = 0; tries < CARRIER_TRIES; tries++) {
      const shown = await commands.run('ip', `link show dev ${port}`);
      if (/state UP/.test(shown)) return;
      await pause(clock, CARRIER_POLL_MS);
    }
    throw new Error(`${port} has no carrier`);
  }

  async function send(bridge: string, ip: Ipv4, mac: Mac): Promise<void> {
    await make();
    const [port, peer] = [`${name}p`, `${name}q`];
    const inside = (command: string) =>
      commands.outside(['ip', '-n', name, ...command.split(' ')]);
    await commands.run(
      'ip',
      `link add name ${port} type veth peer name ${peer} netns ${name}`,
    );
    try {
      await commands.run('ip', `link set dev ${port} master ${bridge} up`);
      await inside(`link set dev ${peer} up`);
      await carrier(port);
      await inside(`addr add ${formatIpv4(ip)}/32 dev ${peer}`);
      await inside(`link set dev ${peer} address ${formatMac(mac)}`);
    } finally {
      await commands.run('ip', `link del dev ${port}`);
    }
  }

  async function work(): Promise<void> {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      try {
        await send(one.bridge, one.ip, one.mac);
      } catch (err) {
        log.warn({ err, ip: formatIpv4(one.ip) }, 'not announced');
      }
    }
    await unmake();
    working = null;
    if (waiting.length > 0) working = work();
  }

  return {
    announce(bridge, ip, mac) {
      if (waiting.length >= MAX_WAITING) return;
      waiting.push({ bridge, ip, mac });
      working ??= work();
    },
    async close() {
      waiting.length = 0;
      await working;
    },
  };
}
