// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A fabric network joins NAT Reform: zone and public IP by placement, default
 * router row to the zone (RFD 158, "NAT Reform Zone assignment").
 *
 * A new fabric has no traffic yet, so its router row is written together with
 * its rule. A fabric with a NAT zone of its own has its row switched when the
 * zones have acknowledged the rule: the conversion job (convert/).
 */

import { ServiceError } from '#lib/errors.js';
import { and, eq, le } from '#lib/store/filter-text.js';
import type { StoredObject } from '#lib/store/types.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import type { NetworkRecord } from '../network/record.js';
import { type FabricPlacement, mayShare, placeFabric } from '../placement.js';
import { findPublics } from '../public/find.js';
import {
  type PublicRecord,
  placementPublic,
  publicEvent,
  putPublic,
  withFabric,
} from '../public/record.js';
import { routerChanges } from '../ul3/rows.js';
import { allocatePublic } from './allocate.js';
import {
  type Fabric,
  fabricLoad,
  newRouterMac,
  routableFabric,
} from './fabric.js';
import { advancedLedger, type Ledger, readLedger } from './ledger.js';
import { placementPolicy, placementZones, readZones } from './state.js';

/** Both kinds of public IP that a new fabric could go to. */
async function candidates(
  ctx: NapiContext,
  fabric: Fabric,
): Promise<{
  home: StoredObject<PublicRecord>[];
  shared: StoredObject<PublicRecord>[];
}> {
  const policy = placementPolicy(ctx);
  const home = await findPublics(
    ctx,
    and(eq('kind', 'snat'), eq('fabric_owners', fabric.owner_uuid)),
  );
  if (!mayShare(fabric.owner_uuid, policy)) return { home, shared: [] };
  const room = policy.max_fabrics_per_public - 1;
  const shared = await findPublics(
    ctx,
    and(eq('kind', 'snat'), le('fabrics', room)),
  );
  return {
    home,
    shared: shared.filter(({ value }) => value.owner_uuid === undefined),
  };
}

async function choose(
  ctx: NapiContext,
  fabric: Fabric,
  ledger: Ledger,
): Promise<{
  placement: FabricPlacement;
  stored: StoredObject<PublicRecord> | null;
}> {
  const [zones, { home, shared }] = await Promise.all([
    readZones(ctx),
    candidates(ctx, fabric),
  ]);
  const views = (all: StoredObject<PublicRecord>[]) =>
    all.map(({ value }) => placementPublic(value)).filter((v) => v !== null);
  const placement = placeFabric({
    owner: fabric.owner_uuid,
    zones: placementZones(ctx, zones, ledger),
    home: views(home),
    shared: views(shared),
    policy: placementPolicy(ctx),
  });
  if (placement === null) {
    throw new ServiceError(409, {
      code: 'NatZoneUnavailable',
      message: 'no NAT Reform zone is registered',
    });
  }
  const stored = [...home, ...shared].find(
    ({ value }) => value.ip === placement.public_ip,
  );
  return { placement, stored: stored ?? null };
}

/** A place that was taken, without the router that leads there. */
export interface TakenPlace {
  public_ip: string;
  zone_uuid: string;
  changes: Changes;
}

/** Zone and public IP for a fabric, with the load: all but its router. */
export async function takePlace(
  ctx: NapiContext,
  fabric: Fabric,
): Promise<TakenPlace> {
  const ledger = await readLedger(ctx.store);
  const { placement, stored } = await choose(ctx, fabric, ledger);
  const load = fabricLoad(fabric);
  const taken = stored ? null : await newSnatPublic(ctx, fabric, placement);
  const before = stored?.value ?? (taken as { record: PublicRecord }).record;
  const record = withFabric(before, fabric.owner_uuid, load, 1);
  return {
    public_ip: record.ip,
    zone_uuid: placement.zone_uuid,
    changes: {
      requests: [
        ...(taken?.requests ?? []),
        putPublic(record, stored?._etag ?? null),
        advancedLedger(ledger, [{ zone: placement.zone_uuid, load }]),
      ],
      events: stored ? [] : [publicEvent(record, 'create')],
    },
  };
}

/** See `assignFabric` in hooks.ts. */
export async function placeNewFabric(
  ctx: NapiContext,
  network: NetworkRecord,
): Promise<{
  nat_reform_public: string;
  router_mac: string;
  changes: Changes;
}> {
  const fabric = routableFabric(network);
  if (fabric === null) {
    throw new TypeError(`network ${network.uuid} is no fabric with a gateway`);
  }
  const { public_ip, zone_uuid, changes } = await takePlace(ctx, fabric);
  const router_mac = newRouterMac(ctx.random);
  const router = await routerChanges(ctx, {
    network: fabric,
    router_mac,
    zone_uuid,
    previous_zone_uuid: null,
  });
  return {
    nat_reform_public: public_ip,
    router_mac,
    changes: merge(changes, router),
  };
}

async function newSnatPublic(
  ctx: NapiContext,
  fabric: Fabric,
  placement: FabricPlacement,
) {
  const allocation_uuid = ctx.uuid();
  const exclusive = !mayShare(fabric.owner_uuid, placementPolicy(ctx));
  const taken = await allocatePublic(ctx, {
    belongs_to_uuid: allocation_uuid,
    owner_uuid: exclusive ? fabric.owner_uuid : ctx.config.admin_uuid,
  });
  const record: PublicRecord = {
    ip: taken.ip,
    kind: 'snat',
    zone_uuid: placement.zone_uuid,
    ...(exclusive ? { owner_uuid: fabric.owner_uuid } : {}),
    network_uuid: taken.network_uuid,
    allocation_uuid,
    fabric_owners: [],
    fabrics_by_owner: {},
    fabrics: 0,
    addresses: 0,
    v: 1,
  };
  return { record, requests: taken.requests };
}
