// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A conversion that failed or was canceled leaves the network as it was: the
 * old NAT zone serves, the public IP is free again, the zones forget the rule.
 */

import { formatMac, mac as toMac } from '#lib/net/mac.js';
import { eq } from '#lib/store/filter-text.js';
import { AIP_BUCKET } from '../../aip/record.js';
import { commit, merge, noChanges } from '../../commit.js';
import type { NapiContext } from '../../context.js';
import { networkEvent } from '../../network/event.js';
import { findNetwork } from '../../network/read.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../../network/record.js';
import { findPublic } from '../../public/find.js';
import { routersChanges } from '../../ul3/rows.js';
import { ruleOf } from '../fabric.js';
import { releasePlace } from '../release.js';
import { getJob } from './begin.js';
import { isActive, type JobRecord, noted, putJob } from './record.js';
import { findOldZone } from './steps.js';

/** Why a conversion cannot be undone any more, or null. */
async function whyNot(
  ctx: NapiContext,
  network: NetworkRecord,
  job: JobRecord,
): Promise<string | null> {
  if (network.nat_reform_public === undefined) return null;
  if (job.retiring === true) {
    return 'SAPI has been asked to delete the old NAT zone';
  }
  if ((await findOldZone(ctx, network)) === null) {
    return 'the old NAT zone is gone';
  }
  const { objects } = await ctx.store.findObjects(
    AIP_BUCKET,
    eq('fabric_network_uuid', network.uuid),
    { limit: 1 },
  );
  return objects.length > 0 ? 'AIPs are assigned on the network' : null;
}

/** The router's row back to the old NAT zone's compute node. */
async function routerBack(ctx: NapiContext, network: NetworkRecord) {
  const old = await findOldZone(ctx, network);
  if (network.nat_reform_public === undefined || old === null) {
    return noChanges();
  }
  return routersChanges(ctx, [
    {
      network,
      router_mac: formatMac(toMac(old.mac)),
      zone_uuid: old.cn_uuid,
      previous_zone_uuid: old.cn_uuid,
    },
  ]);
}

/**
 * Undoes a job, or, when it cannot be undone, lets the conversion stand.
 * @param execution what the job ends as
 * @param why for its log
 */
export async function undo(
  ctx: NapiContext,
  uuid: string,
  execution: 'failed' | 'canceled',
  why: string,
): Promise<JobRecord> {
  return ctx.placing.run(() =>
    commit(ctx, async () => {
      const { value: job, _etag } = await getJob(ctx, uuid);
      if (!isActive(job)) return { changes: noChanges(), result: job };
      const now = ctx.clock.now();
      const { cancel: _cancel, ...kept } = noted(job, now, why);
      const ended: JobRecord = { ...kept, execution, ended: now };
      const stored = await findNetwork(ctx, job.network_uuid);
      if (stored === null) {
        const requests = [putJob(ended, _etag)];
        return { changes: { requests, events: [] }, result: ended };
      }
      const obstacle = await whyNot(ctx, stored.value, job);
      const rule = ruleOf(stored.value);
      const { nat_reform_job: _job, ...without } = stored.value;
      const {
        nat_reform_next: _next,
        nat_reform_public: _public,
        router_mac: _mac,
        ...legacy
      } = without;
      const network = obstacle === null ? legacy : without;
      const place = rule && (await findPublic(ctx, rule.nat_reform_public));
      const released =
        obstacle === null && rule && place
          ? (await releasePlace(ctx, place, rule)).changes
          : noChanges();
      const router =
        obstacle === null ? await routerBack(ctx, stored.value) : noChanges();
      const stands: JobRecord = {
        ...noted(ended, now, `not undone: ${obstacle}; the network stays`),
        execution: 'succeeded',
      };
      const result = obstacle === null ? ended : stands;
      const own = {
        requests: [
          putJob(result, _etag),
          {
            bucket: NETWORK_BUCKET,
            key: stored.key,
            value: network,
            options: { etag: stored._etag },
          },
        ],
        events: rule ? [networkEvent(network, ['nat_reform_public'])] : [],
      };
      return { changes: merge(own, released, router), result };
    }),
  );
}
