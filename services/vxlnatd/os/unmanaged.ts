// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A kernel that somebody else configures (`manage_os` false): every step is
 * taken as done. Gratuitous ARPs are still sent, because only this daemon
 * knows when an address moves.
 */

import type { Announcer } from '../announce/announcer.js';
import type { Gratuitous } from '../announce/gratuitous.js';
import type { Kernel } from './kernel.js';

/**
 * A `Kernel` that changes nothing.
 * @param underlay device on which UL3 addresses are announced, or null
 */
export function unmanagedKernel(
  announcer: Announcer,
  gratuitous: Gratuitous,
  underlay: string | null,
): Kernel {
  return {
    prepare: async () => {},
    observe: async () => null,
    async run(steps) {
      for (const { kind, ip } of steps) {
        if (kind === 'withdraw' || kind === 'unclaim') gratuitous.stop(ip);
        if (kind === 'claim' && underlay !== null) {
          gratuitous.start(underlay, ip);
        }
        if (kind === 'announce' && announcer.device !== null) {
          gratuitous.start(announcer.device, ip);
        }
      }
      return steps.map(() => null);
    },
    close: () => gratuitous.close(),
  };
}
