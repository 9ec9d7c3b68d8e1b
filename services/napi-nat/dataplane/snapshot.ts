// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The snapshot that a zone boots from. It is consistent with its position: the
 * journal's position is read before and after the objects, and objects and
 * events are committed together, so equal positions mean that nothing changed
 * between. Should writers never pause, the last try is given with the position
 * from *before* its reads: replaying what came since ends in the same state,
 * as each event carries the whole object.
 */

import type { Dataplane, FabricRule, OneToOne } from '#lib/model/dataplane.js';
import { rulesDigest } from '#lib/model/rules-digest.js';
import { AIP_BUCKET, type AipRecord, oneToOne } from '../aip/record.js';
import type { NapiContext } from '../context.js';
import { findConverting } from '../nat-reform/convert/record.js';
import { ruleOf } from '../nat-reform/fabric.js';
import { readZones } from '../nat-reform/state.js';
import { findNatReformNetworks } from '../network/read.js';
import { findPublics } from '../public/find.js';
import { natPublic } from '../public/record.js';
import { natZone } from '../zone/record.js';

const TRIES = 20;

type StoreContext = Pick<NapiContext, 'store'>;

async function readFabrics(ctx: StoreContext): Promise<FabricRule[]> {
  const [settled, converting] = await Promise.all([
    findNatReformNetworks(ctx),
    findConverting(ctx),
  ]);
  const networks = new Map(
    [...settled, ...converting].map((network) => [network.uuid, network]),
  );
  return [...networks.values()].map(ruleOf).filter((rule) => rule !== null);
}

async function readOneToOnes(ctx: StoreContext): Promise<OneToOne[]> {
  const found = await ctx.store.findObjects<AipRecord>(
    AIP_BUCKET,
    '(target=*)',
    { noLimit: true },
  );
  return found.objects
    .map((object) => oneToOne(object.value))
    .filter((entry) => entry !== null);
}

async function readOnce(ctx: StoreContext): Promise<Dataplane> {
  const position = ctx.store.journal.position();
  const [fabrics, one_to_ones, publics, zones] = await Promise.all([
    readFabrics(ctx),
    readOneToOnes(ctx),
    findPublics(ctx, '(ip=*)'),
    readZones(ctx),
  ]);
  return {
    position,
    digest: rulesDigest(fabrics, one_to_ones),
    fabrics,
    one_to_ones,
    publics: publics.map(({ value }) => natPublic(value)),
    zones: zones.map(({ value }) => natZone(value)),
  };
}

/** Reads everything a zone folds, as of one journal position. */
export async function readDataplane(ctx: StoreContext): Promise<Dataplane> {
  for (let i = 1; ; i++) {
    const snapshot = await readOnce(ctx);
    const still = snapshot.position === ctx.store.journal.position();
    if (still || i === TRIES) return snapshot;
  }
}
