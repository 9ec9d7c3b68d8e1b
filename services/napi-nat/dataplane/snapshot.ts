// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a zone boots from, page by page: a million AIPs are never in memory at
 * once, and no writer waits. The text says the journal's position from *before*
 * its reads, with the digest as of that position (digest.ts). What changed
 * while it was read may be in it or not; the zone then follows the journal from
 * the position, and as each event carries the whole object it ends in the same
 * state. Until then its own digest differs, so nothing relies on it.
 */

import type {
  FabricRule,
  NatPublic,
  NatZone,
  OneToOne,
} from '#lib/model/dataplane.js';
import type { DataplanePages } from '#lib/model/dataplane-text.js';
import { objectPages } from '#lib/store/pages.js';
import { AIP_BUCKET, type AipRecord, oneToOne } from '../aip/record.js';
import type { NapiContext } from '../context.js';
import { ruleOf } from '../nat-reform/fabric.js';
import { readZones } from '../nat-reform/state.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import {
  natPublic,
  PUBLIC_BUCKET,
  type PublicRecord,
} from '../public/record.js';
import { natZone } from '../zone/record.js';

import type { DigestTracker } from './digest.js';

type StoreContext = Pick<NapiContext, 'store'>;

/** A bucket as what zones see of it; null: not for them. */
async function* seen<T, U>(
  ctx: StoreContext,
  bucket: string,
  see: (record: T) => U | null,
): AsyncGenerator<U[]> {
  for await (const page of objectPages<T>(ctx.store, bucket)) {
    yield page.map(({ value }) => see(value)).filter((item) => item !== null);
  }
}

/** Rules, also of networks that are being converted. */
function fabricPages(ctx: StoreContext): AsyncGenerator<FabricRule[]> {
  return seen<NetworkRecord, FabricRule>(ctx, NETWORK_BUCKET, ruleOf);
}

function oneToOnePages(ctx: StoreContext): AsyncGenerator<OneToOne[]> {
  return seen<AipRecord, OneToOne>(ctx, AIP_BUCKET, oneToOne);
}

function publicPages(ctx: StoreContext): AsyncGenerator<NatPublic[]> {
  return seen<PublicRecord, NatPublic>(ctx, PUBLIC_BUCKET, natPublic);
}

async function* zonePage(ctx: StoreContext): AsyncGenerator<NatZone[]> {
  yield (await readZones(ctx)).map(({ value }) => natZone(value));
}

/**
 * Everything a zone folds.
 * @param known a journal position that has passed, and its digest
 */
export function dataplanePages(
  ctx: StoreContext,
  known: { position: number; digest: string },
): DataplanePages {
  return {
    ...known,
    fabrics: fabricPages(ctx),
    one_to_ones: oneToOnePages(ctx),
    publics: publicPages(ctx),
    zones: zonePage(ctx),
  };
}

/** Has a tracker take in all rules of the store, and logs how many. */
export async function loadRules(
  ctx: Pick<NapiContext, 'store' | 'clock' | 'log'>,
  digests: DigestTracker,
): Promise<void> {
  const began = ctx.clock.monotonic();
  let [fabrics, aips] = [0, 0];
  for await (const page of fabricPages(ctx)) {
    digests.load(page, []);
    fabrics += page.length;
  }
  for await (const page of oneToOnePages(ctx)) {
    digests.load([], page);
    aips += page.length;
  }
  const ms = Math.round(ctx.clock.monotonic() - began);
  ctx.log.info({ fabrics, aips, ms }, 'rules read');
}
