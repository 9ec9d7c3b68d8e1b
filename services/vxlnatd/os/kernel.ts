// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The kernel's share of a zone, seen as steps and an observation:
 *
 *   route     PUBLIC/32 dev TUN              public IPs enter the engine
 *   announce  proxy neighbour on external    ARP is answered for them, or
 *             (announce/bgp.ts)              BGP says that they are here
 *   take      UL3/32 dev UNDERLAY label :v   another zone's UL3 (takeover)
 *   claim     gratuitous ARP on underlay     neighbours learn of it at once
 *
 * Everything that is added carries a mark (route and neighbour protocol 158,
 * address label), so a daemon that was killed finds what it left behind and
 * never touches what others configured.
 */

import type { BgpWatch } from '../announce/bgp.js';
import type { OsStep } from '../plan.js';

/** What the kernel holds of ours. */
export interface Observed {
  routed: Set<string>;
  takeovers: Set<string>;
  /** Null: the announcer leaves no trace in the kernel. */
  announced: Set<string> | null;
}

export interface Kernel {
  /** Devices up, sysctls set. @throws naming the command or the file */
  prepare(): Promise<void>;
  /** What is really there, or null when this kernel is not managed. */
  observe(): Promise<Observed | null>;
  /** One outcome for each step: null, or what went wrong. Never throws. */
  run(steps: OsStep[]): Promise<(string | null)[]>;
  /** Before an end: draws traffic away while it is still translated. */
  leave?(): Promise<void>;
  /**
   * Stops timers of repeated announcements.
   * @param keep leaves what goes on without us to a successor
   */
  close(keep: boolean): Promise<void> | void;
  /** Of announcement by BGP. */
  bgp?: BgpWatch;
}
