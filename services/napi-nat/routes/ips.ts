// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/networks/:uuid/ips` (facts: triton-napi 6.1). */

import { notFound } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import {
  holds,
  type Ip,
  type IpPrefix,
  parseIp,
  parseIpPrefix,
} from '#lib/net/ip.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import { listSpec, updateSpec } from '../ip/input.js';
import { findIp } from '../ip/read.js';
import { freeIp, serializeIp } from '../ip/record.js';
import { listIps, updateIp } from '../ip/update.js';
import type { NetworkRecord } from '../network/record.js';
import { readIp } from '../validate/addresses.js';
import { readOrThrow } from '../validate/params.js';
import { networkOfPath } from './networks.js';

async function networkOf(
  ctx: NapiContext,
  request: Request,
): Promise<NetworkRecord> {
  const id = request.route['network_uuid'] as string;
  return (await networkOfPath(ctx, id)).value;
}

/** The path's address. @throws ServiceError 404 */
function addressOf(network: NetworkRecord, request: Request): string {
  const text = readIp(request.route['ip_addr']);
  if (text === null) throw notFound('Invalid IP address');
  const ip = parseIp(text) as Ip;
  if (ip.family !== network.family) {
    throw notFound('IP and subnet are of different address families');
  }
  if (holds(parseIpPrefix(network.subnet) as IpPrefix, ip)) return text;
  throw notFound('IP is not in subnet');
}

async function get(ctx: NapiContext, request: Request): Promise<Reply> {
  const network = await networkOf(ctx, request);
  const ip = addressOf(network, request);
  const stored = await findIp(ctx, network.uuid, ip);
  const unchanged = conditional(request, stored?._etag ?? '');
  if (unchanged) return unchanged;
  return {
    status: 200,
    body: serializeIp(stored?.value ?? freeIp(ip), network.uuid),
    ...(stored && { headers: { Etag: stored._etag } }),
  };
}

async function update(ctx: NapiContext, request: Request): Promise<Reply> {
  const network = await networkOf(ctx, request);
  const ip = addressOf(network, request);
  const check = (etag: string) => void conditional(request, etag);
  check((await findIp(ctx, network.uuid, ip))?._etag ?? '');
  const input = readOrThrow(request.params, updateSpec);
  const record = await updateIp(ctx, network, ip, input, check);
  return {
    status: 200,
    body: serializeIp(record, network.uuid),
    headers: { Etag: etagOfRecord(record) },
  };
}

/** Routes of a network's addresses. */
export function ipRoutes(ctx: NapiContext): Route[] {
  const all = '/networks/:network_uuid/ips';
  const one = `${all}/:ip_addr`;
  return [
    {
      method: ['GET', 'HEAD'],
      path: all,
      name: 'listips',
      async handler(request) {
        const { uuid } = await networkOf(ctx, request);
        const input = readOrThrow(request.params, listSpec);
        const records = await listIps(ctx, uuid, input);
        const body = records.map((record) => serializeIp(record, uuid));
        return { status: 200, body };
      },
    },
    {
      method: 'GET',
      path: one,
      name: 'getip',
      handler: (request) => get(ctx, request),
    },
    {
      method: 'PUT',
      path: one,
      name: 'updateip',
      handler: (request) => update(ctx, request),
    },
  ];
}
