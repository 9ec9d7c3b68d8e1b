// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** AIPs of an address that a NIC gives up (facts: nat-behaviour A6). */

import { eq } from '#lib/store/filter-text.js';
import { type Changes, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { fabricOf } from '../nat-reform/fabric.js';
import { guardLedger, readLedger } from '../nat-reform/ledger.js';
import { readNetwork } from '../network/read.js';
import type { NicRecord } from '../nic/record.js';
import { auditRow, SYSTEM } from './audit.js';
import { detached } from './change.js';
import { getAipPublic } from './find.js';
import { AIP_BUCKET, type AipRecord, targetOf } from './record.js';

/**
 * See `detachForNic` in hooks.ts. The guard makes the batch fail when an AIP
 * was assigned since: it may point at this very NIC.
 */
export async function detachNic(
  ctx: NapiContext,
  nic: NicRecord,
): Promise<Changes> {
  const none: Changes = { requests: [], events: [] };
  if (nic.ipaddr === undefined || nic.network_uuid === undefined) return none;
  const network = await readNetwork(ctx, nic.network_uuid);
  const fabric = network && fabricOf(network);
  if (fabric === null) return none;
  const ledger = await readLedger(ctx.store);
  const found = await ctx.store.findObjects<AipRecord>(
    AIP_BUCKET,
    eq('target', targetOf(fabric.vnet_id, nic.ipaddr)),
  );
  const changes = await Promise.all(
    found.objects.map(async (aip) => {
      const place = await getAipPublic(ctx, aip.value);
      const entry = auditRow(ctx, aip.value, 'detach', SYSTEM);
      const audit = { requests: [entry], events: [] };
      return merge(detached(ctx, { aip, place }), audit);
    }),
  );
  return merge({ requests: [guardLedger(ledger)], events: [] }, ...changes);
}
