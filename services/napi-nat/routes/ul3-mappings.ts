// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `GET /ul3_mappings`: which UL3 serves which overlay address, read-only. What
 * a subscriber of `ul3_mapping` events boots from, and operators look at.
 */

import {
  type FieldError,
  invalidParameter,
  ServiceError,
} from '#lib/errors.js';
import type { Reply, Request, Route } from '#lib/http/types.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { VNET_MAX } from '#lib/net/vnet.js';
import type { Store } from '#lib/store/types.js';
import { listMappings, type MappingFilter } from '../ul3/lookup.js';

const KNOWN = ['vnet_id', 'cn_uuid', 'ip', 'limit', 'offset'];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MAX_LIMIT = 1000;

/** Reads a whole number; undefined when absent, an error when it is not. */
function number(
  params: Record<string, unknown>,
  name: string,
  range: [low: number, high: number],
  errors: FieldError[],
): number | undefined {
  const given = params[name];
  if (given === undefined) return undefined;
  const digits = typeof given === 'string' && /^\d{1,9}$/.test(given);
  const value = digits ? Number(given) : Number.NaN;
  const [low, high] = range;
  if (value >= low && value <= high) return value;
  const message = `must be a whole number from ${low} to ${high}`;
  errors.push(invalidParameter(name, message));
  return undefined;
}

/** @throws ServiceError 422 naming each parameter that is wrong */
function readFilter(params: Record<string, unknown>): MappingFilter {
  const errors: FieldError[] = [];
  const unknown = Object.keys(params).filter((name) => !KNOWN.includes(name));
  if (unknown.length > 0) {
    const message = `Unknown parameters: ${unknown.join(', ')}`;
    errors.push({ field: unknown, code: 'UnknownParameters', message });
  }
  const vnet = number(params, 'vnet_id', [0, VNET_MAX], errors);
  const limit = number(params, 'limit', [1, MAX_LIMIT], errors);
  const offset = number(params, 'offset', [0, 999_999_999], errors);
  const { cn_uuid: cn, ip: text } = params;
  if (cn !== undefined && !(typeof cn === 'string' && UUID.test(cn))) {
    errors.push(invalidParameter('cn_uuid', 'invalid UUID'));
  }
  let ip: Ipv4 | null = null;
  if (text !== undefined) {
    ip = typeof text === 'string' ? parseIpv4(text) : null;
    if (ip === null) errors.push(invalidParameter('ip', 'invalid IP address'));
  }
  if (errors.length > 0) {
    throw new ServiceError(422, {
      code: 'InvalidParameters',
      message: 'Invalid parameters',
      errors,
    });
  }
  return {
    limit: limit ?? MAX_LIMIT,
    offset: offset ?? 0,
    ...(vnet === undefined ? {} : { vnet }),
    ...(cn === undefined ? {} : { cn: cn as string }),
    ...(ip === null ? {} : { ip }),
  };
}

/** The routes, for `app.ts` to add. */
export function ul3MappingRoutes(ctx: { store: Store }): Route[] {
  async function list(request: Request): Promise<Reply> {
    const filter = readFilter(request.params);
    return { status: 200, body: await listMappings(ctx.store, filter) };
  }
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/ul3_mappings',
      name: 'listul3mappings',
      handler: list,
    },
  ];
}
