// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Kernel switches under /proc/sys/net/ipv4 of this network namespace. A value
 * that is right already is not written, so a read-only /proc is enough where
 * somebody else has set them.
 */

import { readFile, writeFile } from 'node:fs/promises';

/** A path below /proc/sys/net/ipv4 and the value that it must have. */
export type Switch = readonly [path: string, value: string];

/**
 * The switches of a zone. Packets are forwarded between the TUN device and
 * the external one and nowhere else: RFD 158, "IP Forwarding", forbids it on
 * the underlay. `forwarding` is set per device, so nothing else in the
 * namespace starts to forward.
 */
export function zoneSwitches(devices: {
  tun: string;
  external: string | null;
  underlay: string | null;
}): Switch[] {
  const { tun, external, underlay } = devices;
  const switches: Switch[] = [
    [`conf/${tun}/forwarding`, '1'],
    // Sources on the TUN are public IPs routed to it; replies may leave by
    // another way than the strict reverse path (several uplinks).
    [`conf/${tun}/rp_filter`, '2'],
  ];
  if (external !== null) {
    switches.push(
      [`conf/${external}/forwarding`, '1'],
      [`conf/${external}/rp_filter`, '2'],
      // Answer for a proxied public IP at once, not after up to 0.8 s.
      [`neigh/${external}/proxy_delay`, '0'],
      // Never answer here for an address of another device, such as the UL3.
      [`conf/${external}/arp_ignore`, '1'],
    );
  }
  if (underlay !== null && underlay !== external) {
    switches.push(
      [`conf/${underlay}/forwarding`, '0'],
      [`conf/${underlay}/arp_ignore`, '1'],
    );
  }
  return switches;
}

/**
 * Makes the switches hold.
 * @param root /proc/sys/net/ipv4, or a test's folder
 * @throws an Error naming the file and the value
 */
export async function setSwitches(
  switches: Switch[],
  root = '/proc/sys/net/ipv4',
): Promise<void> {
  for (const [path, value] of switches) {
    const file = `${root}/${path}`;
    try {
      if ((await readFile(file, 'utf8')).trim() === value) continue;
      await writeFile(file, value);
    } catch (error) {
      throw new Error(
        `cannot set ${file} to ${value}: ${(error as Error).message}`,
      );
    }
  }
}
