// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** One network's conversion, asked for and waited for. */

import type { Context } from '../context.js';
import { internalError } from '../errors.js';
import type { Job, Network } from '../triton.js';

const POLL_MS = 500;
const ENDED = ['succeeded', 'failed', 'canceled'];

/** Waits for a job's end, and tells the operator each line of its log. */
async function follow(ctx: Context, uuid: string): Promise<Job> {
  let told = 0;
  for (;;) {
    const job = await ctx.clients.napi.job(uuid);
    for (const { step, message } of job.log.slice(told)) {
      ctx.ui(`    ${step}: ${message}`);
    }
    told = job.log.length;
    if (ENDED.includes(job.execution)) return job;
    await ctx.pause(POLL_MS);
  }
}

/**
 * Asks napi-nat to convert a network, and waits until it has a public IP of
 * NAT Reform. Asking again for one that is under way follows the same job.
 * @returns the public IP
 * @throws SdcadmError with the last line of the log when the job fails
 */
export async function convertNetwork(
  ctx: Context,
  { uuid }: Network,
): Promise<string> {
  const { napi } = ctx.clients;
  const asked = await napi.convert(uuid);
  if (asked.nat_reform_job !== undefined) {
    const { execution, log } = await follow(ctx, asked.nat_reform_job);
    if (execution !== 'succeeded') {
      throw internalError(
        `job ${asked.nat_reform_job} ${execution}: ` +
          (log.at(-1)?.message ?? 'it has no log'),
      );
    }
  }
  const address = (await napi.network(uuid))?.nat_reform_public ?? '';
  if (address === '') {
    throw internalError(`network ${uuid} has no public IP of NAT Reform`);
  }
  return address;
}
