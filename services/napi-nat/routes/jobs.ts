// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/jobs`: conversions of fabrics to NAT Reform. */

import type { Reply, Request, Route } from '#lib/http/types.js';
import { and, eq, present } from '#lib/store/filter-text.js';
import type { NapiContext } from '../context.js';
import { cancelJob, getJob } from '../nat-reform/convert/begin.js';
import {
  JOB_BUCKET,
  type JobRecord,
  serializeJob,
} from '../nat-reform/convert/record.js';
import { integer, Parameters } from '../validate/parameters.js';
import { oneOf, uuid } from '../validate/values.js';

async function list(ctx: NapiContext, request: Request): Promise<Reply> {
  const params = new Parameters(request.params);
  const network = params.optional('network_uuid', uuid);
  const execution = params.optional(
    'execution',
    oneOf('queued', 'running', 'succeeded', 'failed', 'canceled'),
  );
  const limit = params.optional('limit', integer(1, 1000)) ?? 1000;
  const offset = params.optional('offset', integer(0, 2 ** 31)) ?? 0;
  params.finish();
  const terms = [present('uuid')];
  if (network) terms.push(eq('network_uuid', network));
  if (execution) terms.push(eq('execution', execution));
  const found = await ctx.store.findObjects<JobRecord>(
    JOB_BUCKET,
    and(...terms),
    { limit, offset, sort: { attribute: 'created' } },
  );
  const body = found.objects.map(({ value }) => serializeJob(value));
  return { status: 200, body };
}

function jobUuid(request: Request): string {
  const params = new Parameters(request.route);
  const id = params.required('uuid', uuid);
  params.finish();
  return id;
}

/** Routes of jobs. */
export function jobRoutes(ctx: NapiContext): Route[] {
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/jobs',
      name: 'listjobs',
      handler: (request) => list(ctx, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: '/jobs/:uuid',
      name: 'getjob',
      handler: async (request) => {
        const { value, _etag } = await getJob(ctx, jobUuid(request));
        const headers = { Etag: _etag };
        return { status: 200, body: serializeJob(value), headers };
      },
    },
    {
      method: 'POST',
      path: '/jobs/:uuid/cancel',
      name: 'canceljob',
      handler: async (request) => {
        const job = await cancelJob(ctx, jobUuid(request));
        return { status: 200, body: serializeJob(job) };
      },
    },
  ];
}
