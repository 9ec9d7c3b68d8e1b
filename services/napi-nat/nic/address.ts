// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A NIC's address: the one it names, or one that is chosen; with the write
 * that takes it on the condition that it is still free.
 */

import type { StoreError } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import {
  createIpChooser,
  type IpChoice,
  type IpChooser,
  type IpClaim,
} from '../ip/choose.js';
import { findIp } from '../ip/read.js';
import { isProvisionable, putIp } from '../ip/record.js';
import type { NetworkRecord } from '../network/record.js';
import { invalid, usedBy } from '../validate/params.js';

/** Gives addresses, attempt after attempt, for one NIC. */
export interface AddressSource {
  next(
    network: NetworkRecord,
    claim: IpClaim,
    last: StoreError | null,
  ): Promise<IpChoice>;
}

/** @param named the address that the client asked for, if any */
export function createAddressSource(
  ctx: NapiContext,
  named: string | undefined,
): AddressSource {
  let chooser: IpChooser | undefined;
  return {
    async next(network, claim, last) {
      if (named !== undefined) {
        return takeNamed(ctx, network, named, claim);
      }
      chooser ??= createIpChooser(ctx, network, { claim });
      return chooser.next(last);
    },
  };
}

/**
 * @throws ServiceError 422 when the address is someone's, or is the default
 *   router of a fabric on NAT Reform: its rows are the zone's
 */
async function takeNamed(
  ctx: NapiContext,
  network: NetworkRecord,
  ip: string,
  claim: IpClaim,
): Promise<IpChoice> {
  if (network.nat_reform_public && ip === network.gateway) {
    throw taken('network', network.uuid);
  }
  const stored = await findIp(ctx, network.uuid, ip);
  const old = stored?.value;
  if (old && !isProvisionable(old, ctx.config.admin_uuid)) {
    throw taken(String(old.belongs_to_type), String(old.belongs_to_uuid));
  }
  const record = {
    ipaddr: ip,
    ...claim,
    reserved: claim.reserved ?? old?.reserved ?? false,
    v: 2 as const,
  };
  return { ip, request: putIp(network.uuid, record, stored?._etag ?? null) };
}

function taken(type: string, id: string): Error {
  const message = `IP in use by ${type} "${id}"`;
  return invalid([usedBy('ip', { type, id }, message)]);
}
