// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Announcement by ARP: the kernel answers for a public IP through a proxy
 * neighbour entry, and gratuitous ARP moves the neighbours' caches on a
 * take-over (RFC 5227 section 2.3). The entry works because the public IP is
 * routed to the TUN device, away from the link on which it is asked for, and
 * the external device forwards.
 */

import { askIpAddresses, type RunIp } from '../os/ip.js';
import { PROTOCOL } from '../os/mark.js';
import type { Announcer } from './announcer.js';

/** Answers on one Ethernet device. */
export function arpAnnouncer(device: string): Announcer {
  return {
    mode: 'arp',
    device,
    announceCommand: (ip) =>
      `neigh add proxy ${ip} dev ${device} protocol ${PROTOCOL}`,
    withdrawCommand: (ip) => `neigh del proxy ${ip} dev ${device}`,
    observe(run: RunIp) {
      const proxies = ['neigh', 'show', 'proxy', 'dev', device];
      const own = `proto ${PROTOCOL}`;
      return askIpAddresses(run, proxies, (line) => line.includes(own));
    },
  };
}
