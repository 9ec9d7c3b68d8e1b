// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A conversion is asked for, or is to be undone. */

import { notFound, ServiceError } from '#lib/errors.js';
import { isStoreError, type StoredObject } from '#lib/store/types.js';
import { type Changes, commit, noChanges } from '../../commit.js';
import type { NapiContext } from '../../context.js';
import type { NetworkRecord } from '../../network/record.js';
import {
  isActive,
  JOB_BUCKET,
  type JobRecord,
  noted,
  putJob,
} from './record.js';

/**
 * The job of a fabric that has a NAT zone of its own, for the caller's batch;
 * one that has a job already gets no second.
 * @param network a fabric network with a gateway, not on NAT Reform
 */
export function beginConversion(
  ctx: NapiContext,
  network: NetworkRecord,
): { network: NetworkRecord; changes: Changes } {
  if (network.nat_reform_job !== undefined) {
    return { network, changes: noChanges() };
  }
  const now = ctx.clock.now();
  const job: JobRecord = {
    uuid: ctx.uuid(),
    network_uuid: network.uuid,
    owner_uuid: network.owner_uuids?.[0] ?? ctx.config.admin_uuid,
    execution: 'queued',
    step: 'allocate',
    created: now,
    since: now,
    log: [],
    v: 1,
  };
  return {
    network: { ...network, nat_reform_job: job.uuid },
    changes: { requests: [putJob(job, null)], events: [] },
  };
}

/**
 * One job.
 * @throws ServiceError 404 "job not found"
 */
export async function getJob(
  ctx: Pick<NapiContext, 'store'>,
  uuid: string,
): Promise<StoredObject<JobRecord>> {
  try {
    return await ctx.store.getObject<JobRecord>(JOB_BUCKET, uuid);
  } catch (error) {
    if (isStoreError(error, 'ObjectNotFoundError')) {
      throw notFound('job not found');
    }
    throw error;
  }
}

/**
 * Asks for a job to be undone; whoever leads does it.
 * @throws ServiceError 404; 409 when it has ended
 */
export async function cancelJob(
  ctx: NapiContext,
  uuid: string,
): Promise<JobRecord> {
  return commit(ctx, async () => {
    const { value, _etag } = await getJob(ctx, uuid);
    if (!isActive(value)) {
      throw new ServiceError(409, {
        code: 'JobEnded',
        message: `job ${uuid} has ${value.execution}`,
      });
    }
    const asked = noted(value, ctx.clock.now(), 'cancel was asked for');
    const { again: _again, ...rest } = asked;
    const job: JobRecord = { ...rest, cancel: true };
    return {
      changes: { requests: [putJob(job, _etag)], events: [] },
      result: job,
    };
  });
}
