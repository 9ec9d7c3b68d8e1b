// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: a legacy fabric comes to NAT Reform, and nobody notices.
 *
 *   allocate   zone, public IP, rule on every zone; the old NAT zone serves
 *   sync       until every zone that serves has acknowledged the rule
 *   switch     one batch: the router's row leads to the zone, shootdowns
 *   settle     until compute nodes have acted on these, 30 s at most
 *   retire     the old NAT zone is deleted through SAPI
 *
 * The leader runs the jobs, one step a turn. A job is a row: whoever leads next
 * goes on where the last one was. A step that can never work undoes the job,
 * and so does `cancel`; what may work later is tried again. Only `retire` has
 * an effect outside of the store, and it comes last.
 */

import type { Clock, Timer } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import type { HttpClient } from '#lib/http/client.js';
import { isStoreError } from '#lib/store/types.js';
import type { NapiContext } from '../../context.js';
import { activeJobs, type JobRecord, noted } from './record.js';
import {
  allocate,
  finish,
  StepFailure,
  settle,
  stepOf,
  switchOver,
  sync,
} from './steps.js';
import { undo } from './undo.js';

const TURN_MS = 250;
/** Between tries of SAPI, which may be restarting. */
const RETIRE_AGAIN_MS = 5000;

export interface RunnerOptions {
  ctx: NapiContext;
  clock: Clock;
  leads: () => boolean;
  /** See `ZoneMonitor.waiting`. */
  waiting: (position: number) => string[] | null;
  /** Null: nobody to delete old NAT zones; an operator does. */
  sapi: Pick<HttpClient, 'del'> | null;
}

export class ConversionRunner {
  readonly #options: RunnerOptions;
  #timer: Timer | null = null;
  #busy: Promise<void> | null = null;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.every(TURN_MS, () => this.#turn());
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#busy;
  }

  #turn(): void {
    if (this.#busy !== null || !this.#options.leads()) return;
    this.#busy = this.#all()
      .catch((err: unknown) => {
        // A store out of reach, or another leads: the next turn sees.
        this.#options.ctx.log.debug({ err }, 'conversions stand still');
      })
      .finally(() => {
        this.#busy = null;
      });
  }

  async #all(): Promise<void> {
    for (const { value } of await activeJobs(this.#options.ctx)) {
      await this.#advance(value);
    }
  }

  /** One step of one job. */
  async #advance(job: JobRecord): Promise<void> {
    const { ctx } = this.#options;
    if (job.again !== undefined && job.again > ctx.clock.now()) return;
    try {
      if (job.cancel === true) {
        await undo(ctx, job.uuid, 'canceled', 'canceled');
      } else await this.#step(job);
    } catch (error) {
      if (isStoreError(error, 'LeaseLostError')) throw error;
      const final =
        error instanceof StepFailure ||
        (error instanceof ServiceError && error.status < 500) ||
        (error instanceof ServiceError && error.status === 507);
      const message = (error as Error).message;
      if (!final) {
        ctx.log.warn({ err: error, job: job.uuid }, 'conversion step failed');
        return;
      }
      const ended = await undo(ctx, job.uuid, 'failed', message);
      const { execution, network_uuid: network } = ended;
      ctx.log.error({ job: job.uuid, network, execution, message }, 'undone');
    }
  }

  #step(job: JobRecord): Promise<unknown> {
    const { ctx, waiting } = this.#options;
    switch (job.step) {
      case 'allocate':
        return ctx.placing.run(() => allocate(ctx, job));
      case 'sync':
        return sync(ctx, job, waiting);
      case 'switch':
        return ctx.placing.run(() => switchOver(ctx, job));
      case 'settle':
        return settle(ctx, job);
      case 'retire':
        return this.#retire(job);
    }
  }

  /**
   * Deletes the old NAT zone. That it may be going is written before SAPI is
   * asked: a process that dies in between must not lead anybody back to it.
   */
  async #retire(before: JobRecord): Promise<unknown> {
    const { ctx, sapi } = this.#options;
    if (before.old === undefined) return finish(ctx, before, 'converted');
    const { uuid } = before.old;
    if (sapi === null) {
      const message = `no SAPI is configured: delete NAT zone ${uuid} by hand`;
      return finish(ctx, before, message);
    }
    const job = await stepOf(ctx, before, async (read) => ({
      job: { ...read.job, retiring: true },
    }));
    if (job === null) return;
    try {
      await sapi.del(`/instances/${uuid}`);
    } catch (error) {
      const status = error instanceof ServiceError ? error.status : 500;
      const { message } = error as Error;
      if (status >= 500 || status === 408 || status === 429) {
        return this.#retireLater(job, message);
      }
      if (status !== 404) return this.#refused(job, before, message);
    }
    return finish(ctx, job, `NAT zone ${uuid} is deleted`);
  }

  /** Asked once and refused: it is there. Asked before: nobody can tell. */
  async #refused(job: JobRecord, before: JobRecord, message: string) {
    const { ctx } = this.#options;
    const why = `SAPI refuses to delete NAT zone ${job.old?.uuid}: ${message}`;
    if (before.retiring === true) return finish(ctx, job, `${why}: see to it`);
    await stepOf(ctx, job, async (read) => {
      const { retiring: _retiring, ...kept } = read.job;
      return { job: kept };
    });
    throw new StepFailure(why);
  }

  /** Whether SAPI has done it is not known: asked again, it says. */
  #retireLater(job: JobRecord, message: string): Promise<unknown> {
    const { ctx } = this.#options;
    const now = ctx.clock.now();
    return stepOf(ctx, job, async (read) => ({
      job: {
        ...noted(read.job, now, `SAPI does not answer: ${message}`),
        again: now + RETIRE_AGAIN_MS,
      },
    }));
  }
}
