// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** One network's conversion, asked for and waited for. */

import type { Context } from '../context.js';
import { internalError } from '../errors.js';
import type { Network } from '../triton.js';

const POLL_MS = 500;
const LIMIT_MS = 600_000;

/**
 * Asks napi-nat to convert a network, and waits until it has a public IP of
 * NAT Reform. Asking again for one that is under way is harmless.
 * @returns the public IP
 * @throws SdcadmError when the job fails, or is not done within ten minutes
 */
export async function convertNetwork(
  ctx: Context,
  network: Network,
): Promise<string> {
  const { napi } = ctx.clients;
  const started = ctx.now();
  let { nat_reform_public: address, job_uuid: job } =
    await napi.convert(network);
  while (address === undefined || address === '') {
    if (ctx.now() - started > LIMIT_MS) {
      throw internalError(
        `network ${network.uuid} is not converted after ten minutes`,
      );
    }
    await ctx.pause(POLL_MS);
    if (job !== undefined) {
      const { execution, error } = await napi.job(job);
      if (execution === 'failed' || execution === 'canceled') {
        throw internalError(
          `job ${job} ${execution}: ${error ?? 'see GET /jobs/:uuid'}; ` +
            'the old NAT zone goes on serving',
        );
      }
    }
    address = (await napi.network(network.uuid))?.nat_reform_public;
  }
  return address;
}
