// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `GET /bgp` of the admin interface: sessions, and who is sent what. */

import { notFound } from '#lib/errors.js';
import type { Reply } from '#lib/http/types.js';
import type { BgpStatus, BgpWatch } from './bgp.js';
import type { BgpConfig } from './bgp-settings.js';

/** What is not as it should be; empty when all is well. */
export function bgpFaults(status: BgpStatus): string[] {
  if (!status.answers) return ['BIRD does not answer'];
  return status.neighbors.flatMap(({ ip, established, state, exported }) => {
    if (!established) return `${ip} is not established: ${state}`;
    if (exported === status.announced) return [];
    return `${ip} is sent ${exported} of ${status.announced} public IPs`;
  });
}

/**
 * The answer: 503 when there are faults.
 * @param bgp null unless the zone announces by BGP
 * @throws ServiceError 404 then
 */
export async function bgpReply(
  config: { bgp: BgpConfig | null; external: { ip: string | null } },
  bgp: BgpWatch | null,
): Promise<Reply> {
  if (config.bgp === null || bgp === null) {
    throw notFound('this zone does not announce by BGP');
  }
  const prefixes = await bgp.prefixes();
  const status = bgp.status();
  const faults = bgpFaults(status);
  const { local_as, router_id } = config.bgp;
  return {
    status: faults.length === 0 ? 200 : 503,
    body: {
      faults,
      local_as,
      router_id: router_id ?? config.external.ip,
      ...status,
      prefixes,
    },
  };
}
