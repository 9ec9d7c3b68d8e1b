// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the speaker must know of the control plane: whether it has spoken since
 * the start, how far its journal is, and whether another zone has an address.
 */

import type { Follower } from '../follow.js';

export interface Placement {
  /** Whether what this zone should announce is known. */
  settled(): boolean;
  /** Journal position, or null without a control plane. */
  position(): number | null;
  /** Whether another zone serves this public IP now. */
  elsewhere(ip: string): boolean;
}

/**
 * The placement that a follower sees.
 * @param follower called when asked; null without a control plane
 */
export function placementOf(
  zoneUuid: string,
  follower: () => Follower | null,
): Placement {
  return {
    settled: () => follower()?.status().announcing ?? true,
    position: () => follower()?.position() ?? null,
    elsewhere(ip) {
      const zone = follower()?.world().publics.get(ip)?.zone_uuid ?? null;
      return zone !== null && zone !== zoneUuid;
    },
  };
}
