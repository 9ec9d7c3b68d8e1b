// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/aip_accounts/:uuid`: an owner's use of AIPs, and how many it may have. */

import type { Request, Route } from '#lib/http/types.js';
import {
  readAccount,
  serializeAccount,
  updateAccount,
} from '../aip/account.js';
import type { NapiContext } from '../context.js';
import { integer, Parameters } from '../validate/parameters.js';
import { uuid, uuidArray } from '../validate/values.js';

const MAX_QUOTA = 1_000_000;

function ownerOf(request: Request): string {
  const params = new Parameters(request.route);
  const owner = params.required('uuid', uuid);
  params.finish();
  return owner;
}

/** Routes of owners. */
export function aipAccountRoutes(ctx: NapiContext): Route[] {
  const path = '/aip_accounts/:uuid';
  return [
    {
      method: ['GET', 'HEAD'],
      path,
      name: 'getaipaccount',
      handler: async (request) => {
        const stored = await readAccount(ctx, ownerOf(request));
        return { status: 200, body: serializeAccount(ctx, stored) };
      },
    },
    {
      method: 'PUT',
      path,
      name: 'updateaipaccount',
      handler: async (request) => {
        const owner = ownerOf(request);
        const params = new Parameters(request.params);
        const input = {
          quota: params.clearable('quota', integer(0, MAX_QUOTA)),
          role_tags: params.optional('role_tags', uuidArray),
        };
        params.finish();
        const body = await updateAccount(ctx, owner, input);
        return { status: 200, body };
      },
    },
  ];
}
