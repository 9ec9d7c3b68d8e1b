// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Addresses of the public network: taken for SNAT or an AIP, and kept away
 * from both where a zone has its dedicated external IP.
 */

import { ServiceError } from '#lib/errors.js';
import { contains, parseCidr } from '#lib/net/cidr.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import type { BatchRequest } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { createIpChooser } from '../ip/choose.js';
import type { Hold } from '../ip/claims.js';
import { findIp } from '../ip/read.js';
import { freeIp, isFree, putIp } from '../ip/record.js';
import { findGlobalNetwork, findNetwork } from '../network/read.js';
import type { NetworkRecord } from '../network/record.js';
import { isUuid } from '../validate/values.js';

/** An address that was chosen, with the writes that take it. */
export interface TakenAddress {
  ip: string;
  network_uuid: string;
  requests: BatchRequest[];
}

/** The configured public network; null while it does not exist. */
async function publicNetwork(ctx: NapiContext): Promise<NetworkRecord | null> {
  const { public_network: name } = ctx.config.nat_reform;
  const found = isUuid(name)
    ? await findNetwork(ctx, name)
    : await findGlobalNetwork(ctx, name);
  return found?.value ?? null;
}

/**
 * Chooses a free address of the public network. Afresh in each attempt: what
 * another took meanwhile is no longer free then.
 * @param hold for who does not wait for its turn in `placing`
 * @throws ServiceError 507 SubnetFull; 503 when the network does not exist
 */
export async function allocatePublic(
  ctx: NapiContext,
  holder: { belongs_to_uuid: string; owner_uuid: string },
  hold?: Hold,
): Promise<TakenAddress> {
  const network = await publicNetwork(ctx);
  if (network === null) {
    const { public_network: name } = ctx.config.nat_reform;
    throw new ServiceError(503, {
      code: 'ServiceUnavailableError',
      message: `public network "${name}" does not exist`,
    });
  }
  const claim = { ...holder, belongs_to_type: 'other' };
  const options = hold === undefined ? { claim } : { claim, hold };
  const choice = await createIpChooser(ctx, network, options).next(null);
  return {
    ip: choice.ip,
    network_uuid: network.uuid,
    requests: [choice.request],
  };
}

/** Whether an address is the public network's. */
function isOf(network: NetworkRecord, ip: string): boolean {
  const subnet = parseCidr(network.subnet);
  const address = parseIpv4(ip);
  return subnet !== null && address !== null && contains(subnet, address);
}

/**
 * Keeps a zone's external IP from being given out: nobody's, but reserved, so
 * that the zone's own NIC can still be provisioned with it.
 */
export async function reserveExternal(
  ctx: NapiContext,
  ip: string,
): Promise<BatchRequest[]> {
  const network = await publicNetwork(ctx);
  if (network === null || !isOf(network, ip)) return [];
  const stored = await findIp(ctx, network.uuid, ip);
  if (stored !== null && !isFree(stored.value)) return [];
  const record = { ...freeIp(ip), reserved: true };
  return [putIp(network.uuid, record, stored?._etag ?? null)];
}

/** The reverse, when the zone is gone; a NIC's address stays the NIC's. */
export async function releaseExternal(
  ctx: NapiContext,
  ip: string,
): Promise<BatchRequest[]> {
  const network = await publicNetwork(ctx);
  if (network === null || !isOf(network, ip)) return [];
  const stored = await findIp(ctx, network.uuid, ip);
  if (stored === null || stored.value.belongs_to_uuid !== undefined) return [];
  return [putIp(network.uuid, freeIp(ip), stored._etag)];
}
