// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `GET /aips/:uuid?wait=attached`: answers when the AIP is in that state. */

import type { AipState } from '#lib/model/aip.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { getAip } from './find.js';
import type { AipProgress } from './progress.js';
import type { AipRecord } from './record.js';

/** An AIP as read, in the state that it was in then. */
export interface Seen {
  stored: StoredObject<AipRecord>;
  state: AipState;
}

/**
 * Reads an AIP until it is in a state or time is up.
 * @param wait.state null to read it once
 * @param wait.ms the longest wait
 * @returns the AIP as it is at the end, in that state or not
 * @throws ServiceError 404, also when it is deleted meanwhile
 */
export async function awaitState(
  ctx: Pick<NapiContext, 'store' | 'clock'>,
  progress: AipProgress,
  aip: { uuid: string; owner: string | undefined },
  wait: { state: AipState | null; ms: number },
): Promise<Seen> {
  const until = ctx.clock.monotonic() + wait.ms;
  let stored = await getAip(ctx, aip.uuid, aip.owner);
  for (;;) {
    const state = progress.state(stored.value);
    const over = ctx.clock.monotonic() >= until;
    if (wait.state === null || state === wait.state || over) {
      return { stored, state };
    }
    if ((await progress.moment(aip.uuid)) === 'event') {
      stored = await getAip(ctx, aip.uuid, aip.owner);
    }
  }
}
