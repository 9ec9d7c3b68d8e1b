// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/aggregations` (facts: triton-napi 6.4). */

import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { StoredObject } from '#lib/store/types.js';
import {
  createAggregation,
  getAggregation,
  listAggregations,
  removeAggregation,
  updateAggregation,
} from '../aggregation/aggregations.js';
import { createSpec, listSpec, updateSpec } from '../aggregation/input.js';
import {
  type AggregationRecord,
  serializeAggregation,
} from '../aggregation/record.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import { tagErrors } from '../nic-tag/exists.js';
import { read, refuse } from '../validate/params.js';

function shown(record: AggregationRecord): Reply {
  return {
    status: 200,
    body: serializeAggregation(record),
    headers: { Etag: etagOfRecord(record) },
  };
}

async function get(ctx: NapiContext, request: Request): Promise<Reply> {
  const stored = await getAggregation(ctx, request.route['id'] as string);
  return conditional(request, stored._etag) ?? shown(stored.value);
}

/** The aggregation of the path, on the request's If-Match. */
async function matched(
  ctx: NapiContext,
  request: Request,
): Promise<StoredObject<AggregationRecord>> {
  const stored = await getAggregation(ctx, request.route['id'] as string);
  conditional(request, stored._etag);
  return stored;
}

async function create(ctx: NapiContext, request: Request): Promise<Reply> {
  const { input, errors } = read(request.params, createSpec);
  refuse([...errors, ...(await tagErrors(ctx, input))]);
  return shown(await createAggregation(ctx, input));
}

async function list(ctx: NapiContext, request: Request): Promise<Reply> {
  const { input, errors } = read(request.params, listSpec);
  refuse([...errors, ...(await tagErrors(ctx, input))]);
  const records = await listAggregations(ctx, input);
  return { status: 200, body: records.map(serializeAggregation) };
}

async function update(ctx: NapiContext, request: Request): Promise<Reply> {
  await matched(ctx, request);
  const { input, errors } = read(request.params, updateSpec);
  refuse([...errors, ...(await tagErrors(ctx, input))]);
  const find = () => matched(ctx, request);
  return shown(await updateAggregation(ctx, find, input));
}

/** Routes of aggregations. */
export function aggregationRoutes(ctx: NapiContext): Route[] {
  const all = '/aggregations';
  const one = `${all}/:id`;
  return [
    {
      method: ['GET', 'HEAD'],
      path: all,
      name: 'listaggregations',
      handler: (request) => list(ctx, request),
    },
    {
      method: 'POST',
      path: all,
      name: 'createaggregation',
      handler: (request) => create(ctx, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getaggregation',
      handler: (request) => get(ctx, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updateaggregation',
      handler: (request) => update(ctx, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deleteaggregation',
      async handler(request) {
        await removeAggregation(ctx, () => matched(ctx, request));
        return { status: 204 };
      },
    },
  ];
}
