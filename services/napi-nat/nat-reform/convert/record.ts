// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A conversion job as stored and as shown. The words are those of Triton's
 * workflow jobs: `execution` is queued, running, succeeded, failed or canceled.
 */

import { eq, or } from '#lib/store/filter-text.js';
import type {
  BatchRequest,
  BucketConfig,
  EtagCondition,
  StoredObject,
} from '#lib/store/types.js';
import type { NapiContext } from '../../context.js';

export const JOB_BUCKET = 'nat_jobs';

/** In their order. */
export const STEPS = [
  'allocate',
  'sync',
  'switch',
  'settle',
  'retire',
] as const;
export type Step = (typeof STEPS)[number];

export type Execution =
  | 'queued'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'canceled';

/** The NAT zone that serves the fabric until the switch. */
export interface OldZone {
  /** Its VM's UUID, which is its SAPI instance's too. */
  uuid: string;
  /** Its NIC on the fabric: number, and the compute node. */
  mac: number;
  cn_uuid: string;
}

export interface JobRecord {
  uuid: string;
  network_uuid: string;
  owner_uuid: string;
  execution: Execution;
  step: Step;
  /** Milliseconds since the epoch. */
  created: number;
  /** When the step began, and when it is to be tried next. */
  since: number;
  again?: number;
  ended?: number;
  /** Somebody wants it undone. */
  cancel?: true;
  /** SAPI may be deleting the old NAT zone: nothing can lead back to it. */
  retiring?: true;
  old?: OldZone;
  public_ip?: string;
  /** What the zones must have acknowledged before the switch. */
  position?: number;
  log: { at: number; step: Step; message: string }[];
  v: 1;
}

export const jobBuckets: Record<string, BucketConfig> = {
  [JOB_BUCKET]: {
    index: {
      uuid: { type: 'uuid', unique: true },
      network_uuid: { type: 'uuid' },
      execution: { type: 'string' },
      created: { type: 'number' },
      v: { type: 'number' },
    },
    options: { version: 1 },
  },
};

/** Most lines of a job's log; the oldest go. */
const LOG_LINES = 100;

/** The job with another line in its log, unless it is the last one again. */
export function noted(job: JobRecord, at: number, message: string): JobRecord {
  const { step, log } = job;
  const last = log.at(-1);
  if (last?.step === step && last.message === message) return job;
  return { ...job, log: [...log, { at, step, message }].slice(-LOG_LINES) };
}

/** Whether a job has not come to its end. */
export function isActive({ execution }: JobRecord): boolean {
  return execution === 'queued' || execution === 'running';
}

export function putJob(job: JobRecord, etag: EtagCondition): BatchRequest {
  const options = { etag };
  return { bucket: JOB_BUCKET, key: job.uuid, value: job, options };
}

/** Jobs that have not come to their end, oldest first. */
export async function activeJobs(
  ctx: Pick<NapiContext, 'store'>,
): Promise<StoredObject<JobRecord>[]> {
  const { objects } = await ctx.store.findObjects<JobRecord>(
    JOB_BUCKET,
    or(eq('execution', 'queued'), eq('execution', 'running')),
    { noLimit: true, sort: { attribute: 'created' } },
  );
  return objects;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

/** The job as served. */
export function serializeJob(job: JobRecord): Record<string, unknown> {
  const done = job.execution === 'succeeded' ? STEPS.length : -1;
  const steps = done < 0 ? STEPS.indexOf(job.step) : done;
  return {
    uuid: job.uuid,
    name: 'nat-reform-convert',
    execution: job.execution,
    network_uuid: job.network_uuid,
    owner_uuid: job.owner_uuid,
    step: job.step,
    progress: Math.round((100 * steps) / STEPS.length),
    created_at: iso(job.created),
    ...(job.ended === undefined ? {} : { ended_at: iso(job.ended) }),
    ...(job.public_ip === undefined ? {} : { public_ip: job.public_ip }),
    ...(job.old === undefined ? {} : { old_nat_zone: job.old.uuid }),
    ...(job.cancel === true ? { cancel: true } : {}),
    log: job.log.map((line) => ({ ...line, at: iso(line.at) })),
  };
}
