// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The turn that allocations from a network, and its removal, take. */

import type { NapiContext } from '../context.js';

/**
 * Runs `job` after those already waiting for the same network.
 * @param uuid undefined: which network is not known yet; no turn is taken,
 *   and the store alone keeps the allocation right
 */
export function networkTurn<T>(
  ctx: Pick<NapiContext, 'turns'>,
  uuid: string | undefined,
  job: () => Promise<T>,
): Promise<T> {
  return uuid === undefined ? job() : ctx.turns.run(`network ${uuid}`, job);
}
