// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `GET /dataplane`: what a zone boots from. */

import type { Route } from '#lib/http/types.js';
import { dataplaneText } from '#lib/model/dataplane-text.js';
import type { NapiContext } from '../context.js';
import { readDataplane } from '../dataplane/snapshot.js';

/** The route of the data plane snapshot. */
export function dataplaneRoutes(ctx: NapiContext): Route[] {
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/dataplane',
      name: 'getdataplane',
      handler: async () => {
        const dataplane = await readDataplane(ctx);
        const open = async function* () {
          yield* dataplaneText(dataplane);
        };
        return { status: 200, stream: { type: 'application/json', open } };
      },
    },
  ];
}
