// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * SVP as the resolver sees it: look-ups in the model's words, and the
 * shootdown log of this zone's own underlay address (facts:
 * svp-portolan-vxlnat 1.7, 1.8).
 */

import type { Clock } from '#lib/clock.js';
import { formatIpv4, type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { formatMac } from '#lib/net/mac.js';
import type { Logger } from '#lib/service/log.js';
import type { SvpClient } from '#lib/svp/client.js';
import { createLogLoop, type LogLoop } from '#lib/svp/log-loop.js';
import type { LookUp, Resolver } from './resolver.js';

/** A `LookUp` that asks an SVP server. */
export function svpLookUp(client: Pick<SvpClient, 'vl3'>): LookUp {
  return async (vnet, ip) => {
    const address = parseIpv4(ip);
    if (address === null) return null;
    const answer = await client.vl3(vnet, address);
    if (answer === null) return null;
    return {
      vnet_id: vnet,
      ip,
      mac: formatMac(answer.mac),
      ul3_ip: formatIpv4(answer.ip),
      ul3_port: answer.port,
    };
  };
}

export interface ShootdownOptions {
  client: SvpClient;
  resolver: Resolver;
  underlayIp: Ipv4;
  clock: Clock;
  random: () => number;
  log: Logger;
}

/** The loop that hands the log's records to the resolver. */
export function shootdownLoop(options: ShootdownOptions): LogLoop {
  const { resolver, ...rest } = options;
  return createLogLoop({
    ...rest,
    onVl2: ({ vnet, mac }) => resolver.shootdownMac(vnet, formatMac(mac)),
    onVl3: ({ vnet, ip }) => resolver.shootdownIp(vnet, formatIpv4(ip)),
    // Unlike varpd's 5 to 10 s: a zone is few, and its remotes carry AIPs.
    idleMs: 1000,
    jitterMs: 500,
    workMs: 100,
  });
}
