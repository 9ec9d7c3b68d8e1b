// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nat_publics`: which zone serves which public IP. Read-only. */

import { notFound } from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import { and, eq, present } from '#lib/store/filter-text.js';
import type { NapiContext } from '../context.js';
import { findPublic } from '../public/find.js';
import {
  natPublic,
  PUBLIC_BUCKET,
  type PublicRecord,
} from '../public/record.js';
import { address, integer, Parameters } from '../validate/parameters.js';
import { oneOf, uuid } from '../validate/values.js';

/** `NatPublic` with what sits on it. */
function view(record: PublicRecord): object {
  return {
    ...natPublic(record),
    ...(record.kind === 'snat'
      ? { fabrics: record.fabrics, fabric_owners: record.fabric_owners }
      : { aip_uuid: record.aip_uuid }),
  };
}

async function list(ctx: NapiContext, request: Request): Promise<Reply> {
  const params = new Parameters(request.params);
  const zone = params.optional('zone_uuid', uuid);
  const kind = params.optional('kind', oneOf('snat', 'aip'));
  const limit = params.optional('limit', integer(1, 1000)) ?? 1000;
  const offset = params.optional('offset', integer(0, 2 ** 31)) ?? 0;
  params.finish();
  const terms = [present('ip')];
  if (zone) terms.push(eq('zone_uuid', zone));
  if (kind) terms.push(eq('kind', kind));
  const found = await ctx.store.findObjects<PublicRecord>(
    PUBLIC_BUCKET,
    and(...terms),
    { limit, offset, sort: { attribute: 'ip' } },
  );
  return { status: 200, body: found.objects.map(({ value }) => view(value)) };
}

async function get(ctx: NapiContext, ip: string): Promise<Reply> {
  const found = await findPublic(ctx, ip);
  if (found === null) throw notFound('public IP not found');
  const headers = { Etag: found._etag };
  return { status: 200, body: view(found.value), headers };
}

/** Routes of public IPs. */
export function natPublicRoutes(ctx: NapiContext): Route[] {
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/nat_publics',
      name: 'listnatpublics',
      handler: (request) => list(ctx, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: '/nat_publics/:ip',
      name: 'getnatpublic',
      handler: (request) => {
        const params = new Parameters(request.route);
        const ip = params.required('ip', address);
        params.finish();
        return get(ctx, ip);
      },
    },
  ];
}
