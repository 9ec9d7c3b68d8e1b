// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/nat_zones`: register, list with status, drain, delete; heartbeats. */

import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import type { Heartbeat } from '#lib/model/dataplane.js';
import type { NapiContext } from '../context.js';
import type { ZoneMonitor } from '../nat-reform/monitor.js';
import { readZones } from '../nat-reform/state.js';
import { address, integer, Parameters, text } from '../validate/parameters.js';
import { type Check, Fault } from '../validate/params.js';
import { bool, oneOf, uuid } from '../validate/values.js';
import { getZone } from '../zone/find.js';
import { natZone, type ZoneRecord } from '../zone/record.js';
import { registerZone, updateZone } from '../zone/register.js';
import { emptyZone, removeZone } from '../zone/remove.js';

/** UDP port of VXLAN (RFC 7348 section 5). */
const VXLAN_PORT = 4789;
const MAX_WEIGHT = 1000;
const MAX_ANNOUNCED = 100_000;
const SAFE = Number.MAX_SAFE_INTEGER;

const port = integer(1, 65535);
const weight = integer(1, MAX_WEIGHT);

const addresses: Check<string[]> = (value) =>
  Array.isArray(value) &&
  value.length <= MAX_ANNOUNCED &&
  value.every((each) => typeof each === 'string')
    ? value
    : new Fault('must be an array of strings');

async function view(record: ZoneRecord, monitor: ZoneMonitor): Promise<object> {
  // A lost zone is shown with the account of its failover.
  if (record.state === 'down') await monitor.settled(record.uuid);
  return { ...natZone(record), status: monitor.status(record.uuid) };
}

async function shown(
  ctx: NapiContext,
  monitor: ZoneMonitor,
  id: string,
): Promise<Reply> {
  const stored = await getZone(ctx, id);
  return {
    status: 200,
    body: await view(stored.value, monitor),
    headers: { Etag: stored._etag },
  };
}

async function create(
  ctx: NapiContext,
  monitor: ZoneMonitor,
  request: Request,
): Promise<Reply> {
  const params = new Parameters(request.params);
  const input = {
    uuid: params.optional('uuid', uuid) ?? ctx.uuid(),
    ul3_ip: params.required('ul3_ip', address),
    ul3_port: params.optional('ul3_port', port) ?? VXLAN_PORT,
    external_ip: params.required('external_ip', address),
    server_uuid: params.optional('server_uuid', uuid),
    standby: params.optional('standby', bool) ?? false,
    weight: params.optional('weight', weight) ?? 1,
  };
  params.finish();
  const record = await registerZone(ctx, input);
  return shown(ctx, monitor, record.uuid);
}

async function update(
  ctx: NapiContext,
  monitor: ZoneMonitor,
  request: Request,
): Promise<Reply> {
  const params = new Parameters(request.params);
  const input = {
    ul3_ip: params.optional('ul3_ip', address),
    ul3_port: params.optional('ul3_port', port),
    external_ip: params.optional('external_ip', address),
    server_uuid: params.optional('server_uuid', uuid),
    standby: params.optional('standby', bool),
    weight: params.optional('weight', weight),
  };
  const words = oneOf('drain', 'undrain', 'evacuate', 'rebalance');
  const action = params.optional('action', words);
  params.finish();
  const id = request.route['uuid'] as string;
  if (action === 'evacuate') {
    await emptyZone(ctx, id, await monitor.laggards(id));
  } else await updateZone(ctx, id, { ...input, action });
  return shown(ctx, monitor, id);
}

/** A heartbeat costs no write: what it says is kept in memory. */
function beat(monitor: ZoneMonitor, request: Request): Reply {
  const params = new Parameters(request.params);
  const heartbeat: Heartbeat = {
    progress: params.required('progress', integer(0, SAFE)),
    position: params.required('position', integer(0, SAFE)),
    digest: params.required('digest', text),
    announced: params.optional('announced', addresses) ?? [],
    flows: params.optional('flows', integer(0, SAFE)) ?? 0,
  };
  params.finish();
  const id = request.route['uuid'] as string;
  return { status: 200, body: monitor.heartbeat(id, heartbeat) };
}

/** Routes of NAT Reform zones. */
export function natZoneRoutes(ctx: NapiContext, monitor: ZoneMonitor): Route[] {
  const one = '/nat_zones/:uuid';
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/nat_zones',
      name: 'listnatzones',
      handler: async () => {
        const zones = await readZones(ctx);
        const body = await Promise.all(
          zones.map(({ value }) => view(value, monitor)),
        );
        return { status: 200, body };
      },
    },
    {
      method: 'POST',
      path: '/nat_zones',
      name: 'createnatzone',
      handler: (request) => create(ctx, monitor, request),
    },
    {
      method: ['GET', 'HEAD'],
      path: one,
      name: 'getnatzone',
      handler: async (request) => {
        const reply = await shown(
          ctx,
          monitor,
          request.route['uuid'] as string,
        );
        const etag = reply.headers?.['Etag'] as string;
        return conditional(request, etag) ?? reply;
      },
    },
    {
      method: 'PUT',
      path: one,
      name: 'updatenatzone',
      handler: (request) => update(ctx, monitor, request),
    },
    {
      method: 'DELETE',
      path: one,
      name: 'deletenatzone',
      handler: async (request) => {
        const id = request.route['uuid'] as string;
        await getZone(ctx, id);
        await removeZone(ctx, id, await monitor.laggards(id));
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: `${one}/heartbeat`,
      name: 'natzoneheartbeat',
      handler: (request) => beat(monitor, request),
    },
  ];
}
