// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What a zone that announces by BGP shows, made up. */

import type {
  BgpStatus,
  BgpWatch,
} from '../../../services/vxlnatd/announce/bgp.js';

/**
 * A zone with two upstream routers, both of which are sent its one address.
 * @param changes laid over its status
 */
export function bgpOf(changes: Partial<BgpStatus> = {}): BgpWatch {
  const session = {
    as: 65000,
    state: 'Established',
    established: true,
    since: '2026-11-21 16:21:00.575',
    last_error: null,
    bfd: 'Up',
    exported: 1,
  };
  const sent_to = ['198.51.100.1', '198.51.100.2'];
  return {
    status: () => ({
      answers: true,
      announced: 1,
      leaving: 0,
      restarts: 0,
      last_error: null,
      neighbors: sent_to.map((ip) => ({ ...session, ip })),
      ...changes,
    }),
    prefixes: async () => [
      { ip: '3.3.3.2', med: 4_294_967_284, state: 'announced', sent_to },
    ],
  };
}
