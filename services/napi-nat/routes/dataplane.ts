// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `GET /dataplane`: what a zone boots from. */

import type { Route } from '#lib/http/types.js';
import { dataplaneText } from '#lib/model/dataplane-text.js';
import type { NapiContext } from '../context.js';
import { dataplanePages } from '../dataplane/snapshot.js';
import type { ZoneMonitor } from '../nat-reform/monitor.js';

/**
 * The route of the data plane snapshot.
 * @param monitor knows the digest as of each position
 */
export function dataplaneRoutes(
  ctx: NapiContext,
  monitor: ZoneMonitor,
): Route[] {
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/dataplane',
      name: 'getdataplane',
      handler: () => {
        const open = () => dataplaneText(dataplanePages(ctx, monitor.rules()));
        return { status: 200, stream: { type: 'application/json', open } };
      },
    },
  ];
}
