// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `GET /nat`: what the rules say about a host or a public port, without
 * looking at flows. With `vnet` and `ip` forward, with `public_ip` and `port`
 * reverse.
 */

import { missingParameter, notFound } from '#lib/errors.js';
import type { Reply, Request } from '#lib/http/types.js';
import type { FabricRule } from '#lib/model/dataplane.js';
import { parseCidr } from '#lib/net/cidr.js';
import {
  forward,
  type Mapped,
  type PortRange,
  reverse,
} from './deterministic.js';
import { Fields } from './query.js';

/** The rule with the longest prefix first, as the engine looks. */
function longestFirst(rules: Iterable<FabricRule>): FabricRule[] {
  const bits = (rule: FabricRule) => parseCidr(rule.subnet)?.bits ?? 0;
  return [...rules].sort((a, b) => bits(b) - bits(a));
}

/** Answers `GET /nat` from the rules that are applied. */
export function natReply(
  rules: Iterable<FabricRule>,
  engine: PortRange,
  request: Request,
): Reply {
  const known = ['vnet', 'ip', 'public_ip', 'port'];
  const fields = new Fields(request.query, known);
  const vnet = fields.vnet('vnet');
  const ip = fields.ip('ip');
  const publicIp = fields.ip('public_ip');
  const port = fields.integer('port', 1, 65535);
  const backwards = request.query['public_ip'] !== undefined;
  for (const name of backwards ? ['port'] : ['vnet', 'ip']) {
    if (request.query[name] === undefined) {
      fields.errors.push(missingParameter(name));
    }
  }
  fields.check();
  const found: Mapped[] = [];
  for (const rule of longestFirst(rules)) {
    if (vnet !== null && rule.vnet_id !== vnet) continue;
    const mapped = backwards
      ? reverse(rule, publicIp as string, port as number, engine)
      : forward(rule, ip as string, engine);
    if (mapped !== null) found.push(mapped);
    if (mapped !== null && !backwards) break;
  }
  if (found.length === 0) throw notFound('mapping');
  return { status: 200, body: found };
}
