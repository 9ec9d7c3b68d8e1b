// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the nouns of Triton (networks, NICs) call when NAT Reform is concerned.
 * Each function returns `Changes` for the caller's own batch and writes
 * nothing itself; call it afresh in each attempt of `commit`. Hold
 * `ctx.placing` around a commit that assigns or releases a fabric, so that
 * placements are made one after another instead of colliding and retrying.
 */

import type { FabricRule } from '#lib/model/dataplane.js';
import { detachNic } from '../aip/detach-nic.js';
import type { Changes } from '../commit.js';
import type { NapiContext } from '../context.js';
import type { NetworkRecord } from '../network/record.js';
import type { NicRecord } from '../nic/record.js';
import { placeNewFabric } from './assign.js';
import { ruleOf } from './fabric.js';
import { releasePlacedFabric } from './release.js';

/**
 * Gives a fabric network its zone and public IP by placement, takes an address
 * from the public network when policy asks for one, and points the default
 * router at the zone.
 * @param network with a gateway, not yet on NAT Reform
 * @returns the two fields that the caller stores in the network record, and
 *   everything else that belongs in the same batch
 * @throws ServiceError 409 NatZoneUnavailable: no zone is registered; 507
 *   SubnetFull: the public network has no address left
 */
export async function assignFabric(
  ctx: NapiContext,
  network: NetworkRecord,
): Promise<{
  nat_reform_public: string;
  router_mac: string;
  changes: Changes;
}> {
  return placeNewFabric(ctx, network);
}

/**
 * Takes a fabric network off NAT Reform as it is deleted: router row,
 * shootdowns, load, and the public IP when nobody else uses it.
 * @returns nothing when the network is not on NAT Reform
 * @throws ServiceError 422 InUse when AIPs still point into the network
 */
export async function releaseFabric(
  ctx: NapiContext,
  network: NetworkRecord,
): Promise<Changes> {
  return releasePlacedFabric(ctx, network);
}

/**
 * The data plane's view of a network, for `object` in its events.
 * @returns null when the network is not on NAT Reform
 */
export function fabricRule(network: NetworkRecord): FabricRule | null {
  return ruleOf(network);
}

/**
 * Detaches AIPs whose address a NIC gives up, in the NIC's own batch: a new
 * instance on that address must not inherit them (facts: nat-behaviour A6).
 * @param nic as it was: going away, or changing address
 */
export async function detachForNic(
  ctx: NapiContext,
  nic: NicRecord,
): Promise<Changes> {
  return detachNic(ctx, nic);
}
