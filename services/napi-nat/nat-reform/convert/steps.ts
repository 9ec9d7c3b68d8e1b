// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The steps of a conversion as batches. Each is the effect and the job's next
 * step together, on the condition that job and network are as they were read:
 * done wholly or not at all, and harmless to be tried again.
 */

import { formatMac, parseMac, mac as toMac } from '#lib/net/mac.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { BatchRequest, StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge, noChanges } from '../../commit.js';
import type { NapiContext } from '../../context.js';
import { networkEvent } from '../../network/event.js';
import { findNetwork } from '../../network/read.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../../network/record.js';
import { NIC_BUCKET, type NicRecord } from '../../nic/record.js';
import { findPublic } from '../../public/find.js';
import { EVENT_BUCKET } from '../../ul3/records.js';
import { routersChanges } from '../../ul3/rows.js';
import { takePlace } from '../assign.js';
import { newRouterMac, routableFabric, ruleOf } from '../fabric.js';
import { guardLedger, readLedger } from '../ledger.js';
import { getJob } from './begin.js';
import { type JobRecord, noted, type OldZone, putJob } from './record.js';

/** Job and network as read for one attempt. */
export interface Read {
  job: JobRecord;
  network: StoredObject<NetworkRecord>;
}

/** A step cannot be done, and trying again would not help. */
export class StepFailure extends Error {}

/**
 * Changes a job and, if it says so, its network.
 * @param build given what is there now
 * @returns the job as written; null: it is no longer at this step
 */
export async function stepOf(
  ctx: NapiContext,
  before: JobRecord,
  build: (
    read: Read,
  ) => Promise<{ job: JobRecord; network?: NetworkRecord; changes?: Changes }>,
): Promise<JobRecord | null> {
  return commit(ctx, async () => {
    const stored = await getJob(ctx, before.uuid);
    const network = await findNetwork(ctx, before.network_uuid);
    const { step, execution, cancel } = stored.value;
    const same = step === before.step && execution === before.execution;
    if (!same || cancel !== before.cancel) {
      return { changes: noChanges(), result: null };
    }
    if (network === null) throw new StepFailure('the network is gone');
    const built = await build({ job: stored.value, network });
    const requests = [putJob(built.job, stored._etag)];
    if (built.network) requests.push(putNetwork(network, built.network));
    const own = { requests, events: [] };
    return {
      changes: merge(own, built.changes ?? noChanges()),
      result: built.job,
    };
  });
}

function putNetwork(
  stored: StoredObject<NetworkRecord>,
  value: NetworkRecord,
): BatchRequest {
  const { key, _etag } = stored;
  return { bucket: NETWORK_BUCKET, key, value, options: { etag: _etag } };
}

/** The event of a network whose rule has come or gone. */
function ruleEvent(network: NetworkRecord): Changes {
  const events = [networkEvent(network, ['nat_reform_public'])];
  return { requests: [], events };
}

/** The NIC that has the gateway's address: the old NAT zone's. */
export async function findOldZone(
  ctx: NapiContext,
  network: NetworkRecord,
): Promise<OldZone | null> {
  const { objects } = await ctx.store.findObjects<NicRecord>(
    NIC_BUCKET,
    and(
      eq('network_uuid', network.uuid),
      eq('ipaddr', network.gateway as string),
    ),
    { limit: 1 },
  );
  const nic = objects[0]?.value;
  if (nic?.cn_uuid === undefined) return null;
  return { uuid: nic.belongs_to_uuid, mac: nic.mac, cn_uuid: nic.cn_uuid };
}

/** The job at its next step. */
function next(
  ctx: NapiContext,
  job: JobRecord,
  step: JobRecord['step'],
  message: string,
): JobRecord {
  const now = ctx.clock.now();
  const { again: _again, ...rest } = noted(job, now, message);
  return { ...rest, execution: 'running', step, since: now };
}

/**
 * Zone, public IP and rule: every zone learns the rule, nobody uses it yet.
 * The router keeps the MAC of the old NAT zone's NIC, which instances know.
 */
export function allocate(
  ctx: NapiContext,
  before: JobRecord,
): Promise<unknown> {
  return stepOf(ctx, before, async ({ job, network: { value } }) => {
    const fabric = routableFabric(value);
    if (fabric === null) throw new StepFailure('it has no gateway any more');
    const old = await findOldZone(ctx, value);
    const { public_ip, zone_uuid, changes } = await takePlace(ctx, fabric);
    const router_mac = old
      ? formatMac(toMac(old.mac))
      : newRouterMac(ctx.random);
    const network = { ...value, nat_reform_next: public_ip, router_mac };
    const message =
      `public IP ${public_ip} on zone ${zone_uuid}; ` +
      (old ? `NAT zone ${old.uuid} serves meanwhile` : 'no NAT zone serves');
    const after = { ...job, public_ip, ...(old === null ? {} : { old }) };
    return {
      job: next(ctx, after, 'sync', message),
      network,
      changes: merge(changes, ruleEvent(network)),
    };
  });
}

/** What the zones must have acknowledged is noted once, then waited for. */
export function sync(
  ctx: NapiContext,
  before: JobRecord,
  waiting: (position: number) => string[] | null,
): Promise<unknown> {
  return stepOf(ctx, before, async ({ job }) => {
    const position = job.position ?? ctx.store.journal.position();
    const lagging = waiting(position);
    const known = { ...job, position };
    if (lagging?.length === 0) {
      const message = 'all zones that serve have acknowledged the rule';
      return { job: next(ctx, known, 'switch', message) };
    }
    const message =
      lagging === null
        ? 'waits: no zone serves'
        : `waits for zone ${lagging.sort().join(', ')}`;
    return { job: noted(known, ctx.clock.now(), message) };
  });
}

/** The default router's row leads to the zone, and everybody is told. */
export function switchOver(
  ctx: NapiContext,
  before: JobRecord,
): Promise<unknown> {
  return stepOf(ctx, before, async ({ job, network: { value } }) => {
    const ledger = await readLedger(ctx.store);
    const rule = ruleOf(value);
    const place = rule && (await findPublic(ctx, rule.nat_reform_public));
    const zone = place?.value.zone_uuid;
    if (rule === null || zone === undefined) {
      throw new StepFailure('its public IP is gone');
    }
    const old = await findOldZone(ctx, value);
    if (old !== null && old.mac !== parseMac(rule.router_mac)) {
      throw new StepFailure(`NAT zone ${old.uuid} is another one than before`);
    }
    const { nat_reform_next: _next, ...rest } = value;
    const network = {
      ...rest,
      nat_reform_public: rule.nat_reform_public,
      gateway_provisioned: true,
    };
    const router = await routersChanges(ctx, [
      {
        network: rule,
        router_mac: rule.router_mac,
        zone_uuid: zone,
        previous_zone_uuid: job.old?.cn_uuid ?? null,
      },
    ]);
    const guard = { requests: [guardLedger(ledger)], events: [] };
    const message = `the default router is zone ${zone}`;
    return {
      job: next(ctx, job, 'settle', message),
      network,
      changes: merge(guard, router, ruleEvent(network)),
    };
  });
}

/** Longest that compute nodes are waited for: one may be dead. */
const SETTLE_MS = 30_000;

/** The old NAT zone serves who has not heard yet, for a bounded time. */
export function settle(ctx: NapiContext, before: JobRecord): Promise<unknown> {
  return stepOf(ctx, before, async ({ job, network: { value } }) => {
    const { objects } = await ctx.store.findObjects(
      EVENT_BUCKET,
      eq('vnet_id', value.vnet_id as number),
      { limit: 1 },
    );
    const now = ctx.clock.now();
    if (objects.length > 0 && now - job.since < SETTLE_MS) {
      const message = 'waits for compute nodes to acknowledge the switch';
      return { job: noted(job, now, message) };
    }
    const message =
      objects.length > 0
        ? 'some compute nodes have not acknowledged the switch; going on'
        : 'all compute nodes have acknowledged the switch';
    return { job: next(ctx, job, 'retire', message) };
  });
}

/** The end of a conversion that worked. */
export function finish(
  ctx: NapiContext,
  before: JobRecord,
  message: string,
): Promise<unknown> {
  return stepOf(ctx, before, async ({ job, network: { value } }) => {
    const { nat_reform_job: _job, ...network } = value;
    const now = ctx.clock.now();
    const { cancel: _cancel, ...rest } = noted(job, now, message);
    return { job: { ...rest, execution: 'succeeded', ended: now }, network };
  });
}
