// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/search` (facts: triton-napi 6.5). */

import type { Route } from '#lib/http/types.js';
import type { NapiContext } from '../context.js';
import { serializeIp } from '../ip/record.js';
import { searchIps, searchSpec } from '../ip/search.js';
import { readOrThrow } from '../validate/params.js';

/** The route of search. */
export function searchRoutes(ctx: Pick<NapiContext, 'store'>): Route[] {
  return [
    {
      method: 'GET',
      path: '/search/ips',
      name: 'searchips',
      async handler(request) {
        const input = readOrThrow(request.params, searchSpec);
        const found = await searchIps(ctx, input);
        const body = found.map(({ record, network_uuid: uuid }) =>
          serializeIp(record, uuid),
        );
        return { status: 200, body };
      },
    },
  ];
}
