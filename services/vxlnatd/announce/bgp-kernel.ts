// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A kernel beside which a BGP speaker announces: it withdraws before the
 * kernel takes anything away, and announces when everything is in place.
 */

import type { Kernel } from '../os/kernel.js';
import type { OsStep } from '../plan.js';
import type { Speaker } from './bgp.js';

function ipsOf(steps: OsStep[], kind: OsStep['kind']): string[] {
  return steps.filter((step) => step.kind === kind).map(({ ip }) => ip);
}

/** The kernel with its speaker. */
export function bgpKernel(kernel: Kernel, speaker: Speaker): Kernel {
  return {
    async prepare() {
      await kernel.prepare();
      await speaker.prepare();
    },
    async observe() {
      const seen = await kernel.observe();
      return seen && { ...seen, announced: null };
    },
    async run(steps) {
      const gone = ipsOf(steps, 'withdraw');
      const withdrawn = gone.length > 0 ? await speaker.withdraw(gone) : null;
      const outcomes = await kernel.run(steps);
      const failed = new Set(
        steps.flatMap(({ ip }, i) => (outcomes[i] === null ? [] : ip)),
      );
      const here = ipsOf(steps, 'announce').filter((ip) => !failed.has(ip));
      const announced = here.length > 0 ? await speaker.announce(here) : null;
      return steps.map(({ kind, ip }, i) => {
        if (kind === 'withdraw') return withdrawn;
        if (kind !== 'announce') return outcomes[i] ?? null;
        return failed.has(ip) ? 'its route is not in place' : announced;
      });
    },
    leave: () => speaker.leave(),
    async close(keep) {
      await kernel.close(keep);
      await speaker.close(keep);
    },
    bgp: speaker,
  };
}
