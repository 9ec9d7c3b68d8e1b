// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What placement reads of the store: zones with their loads, publics. */

import type { FabricRule } from '#lib/model/dataplane.js';
import { eq } from '#lib/store/filter-text.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import type { PlacementPolicy, PlacementZone } from '../placement.js';
import { placementZone, ZONE_BUCKET, type ZoneRecord } from '../zone/record.js';
import { fabricOf } from './fabric.js';
import { type Ledger, loadOf } from './ledger.js';

/** Most fabrics on one shared public IP, unless configured. */
const DEFAULT_MAX_FABRICS = 64;

type StoreContext = Pick<NapiContext, 'store'>;

/** The configured policy with its default. */
export function placementPolicy(
  ctx: Pick<NapiContext, 'config'>,
): PlacementPolicy {
  const { policy } = ctx.config.nat_reform;
  return {
    sharing: policy.sharing,
    placement: policy.placement,
    on_join: policy.on_join ?? 'keep',
    pins: policy.pins ?? {},
    max_fabrics_per_public:
      policy.max_fabrics_per_public ?? DEFAULT_MAX_FABRICS,
  };
}

/** All zones, oldest first. */
export async function readZones(
  ctx: StoreContext,
): Promise<StoredObject<ZoneRecord>[]> {
  const found = await ctx.store.findObjects<ZoneRecord>(
    ZONE_BUCKET,
    '(uuid=*)',
    { noLimit: true, sort: { attribute: 'created' } },
  );
  return found.objects;
}

/** Zones as placement sees them. */
export function placementZones(
  ctx: Pick<NapiContext, 'deaf'>,
  zones: readonly StoredObject<ZoneRecord>[],
  ledger: Ledger,
): PlacementZone[] {
  const deaf = ctx.deaf?.() ?? new Set();
  return zones.map(({ value }) =>
    placementZone(value, loadOf(ledger, value.uuid), deaf.has(value.uuid)),
  );
}

/** The fabric networks whose SNAT address this is. */
export async function findFabricsOf(
  ctx: StoreContext,
  ip: string,
): Promise<FabricRule[]> {
  const found = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    eq('nat_reform_public', ip),
    { noLimit: true },
  );
  return found.objects
    .map(({ value }) => fabricOf(value))
    .filter((fabric) => fabric !== null);
}
