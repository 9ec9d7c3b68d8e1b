// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How a zone tells the external network which public IPs it serves. `arp`
 * answers for them on the external link, `none` leaves it to the operator. An
 * announcer names the kernel commands; the kernel adapter runs them.
 */

import type { RunIp } from '../os/ip.js';

export interface Announcer {
  readonly mode: 'arp' | 'none';
  /** Device for gratuitous ARP, or null when none is to be sent. */
  readonly device: string | null;
  /** A line for `ip -batch`, or null when there is nothing to do. */
  announceCommand(ip: string): string | null;
  withdrawCommand(ip: string): string | null;
  /** What the kernel announces of ours; null when it cannot be seen. */
  observe(run: RunIp): Promise<Set<string> | null>;
}
