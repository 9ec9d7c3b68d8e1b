// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A NIC's address: the one it names, or one that is chosen; with the write
 * that takes it on the condition that it is still free.
 */

import { invalidParameter, ServiceError } from '#lib/errors.js';
import type { StoredObject, StoreError } from '#lib/store/types.js';
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
import type { Place } from './place.js';
import type { NicRecord } from './record.js';

/** An address, the write that takes it, and the network that it is on. */
export interface TakenAddress extends IpChoice {
  network: StoredObject<NetworkRecord>;
}

/** Gives addresses, attempt after attempt, for one NIC. */
export interface AddressSource {
  /** @throws ServiceError 422 the address is taken, all of a pool is; 507 */
  next(
    place: Place,
    claim: IpClaim,
    last: StoreError | null,
  ): Promise<TakenAddress>;
}

/** @param named the address that the client asked for, if any */
export function createAddressSource(
  ctx: NapiContext,
  named: string | undefined,
): AddressSource {
  const choosers = new Map<string, IpChooser>();

  function choose(
    network: NetworkRecord,
    claim: IpClaim,
    last: StoreError | null,
  ): Promise<IpChoice> {
    if (named !== undefined) return takeNamed(ctx, network, named, claim);
    const chooser =
      choosers.get(network.uuid) ?? createIpChooser(ctx, network, { claim });
    choosers.set(network.uuid, chooser);
    return chooser.next(last);
  }

  return {
    async next({ networks, pool }, claim, last) {
      for (const network of networks) {
        try {
          return { network, ...(await choose(network.value, claim, last)) };
        } catch (error) {
          if (pool === undefined || !isFull(error)) throw error;
        }
      }
      const message = `All networks in pool ${pool} are full`;
      throw invalid([invalidParameter('network_uuid', message)]);
    },
  };
}

function isFull(error: unknown): boolean {
  return error instanceof ServiceError && error.body.code === 'SubnetFull';
}

/** Gives a NIC the address. */
export function setAddress(
  nic: NicRecord,
  { ip, network }: TakenAddress,
): void {
  nic.ipaddr = ip;
  nic.network_uuid = network.key;
  nic.nic_tag = network.value.nic_tag;
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
