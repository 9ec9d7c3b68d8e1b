// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** New MACs (facts: triton-napi 5.3). */

import { ServiceError } from '#lib/errors.js';
import { type Mac, mac as toMac } from '#lib/net/mac.js';
import type { StoreError } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { findNic } from './read.js';
import { NIC_BUCKET } from './record.js';

/** MACs looked at for one NIC. */
const MAX_TRIES = 50;
const SERIALS = 2 ** 24;

/** Chooses MACs for one NIC until one is taken. */
export interface MacChooser {
  /**
   * @param last why the batch with the one before was refused; that MAC stays
   *   unless it is what the refusal was about
   * @throws ServiceError 500 when fifty were taken
   */
  next(last: StoreError | null): Promise<Mac>;
}

/** The configured OUI and a random serial; taken ones are counted up from. */
export function createMacChooser(
  ctx: Pick<NapiContext, 'store' | 'config' | 'random'>,
): MacChooser {
  const oui = Number.parseInt(ctx.config.mac_oui, 16) * SERIALS;
  let serial = randomSerial(ctx.random);
  let tries = 0;

  function advance(): void {
    tries += 1;
    if (tries > MAX_TRIES) {
      const message = 'no more free MAC addresses';
      throw new ServiceError(500, { code: 'InternalError', message });
    }
    serial += 1;
    if (serial >= SERIALS) serial = randomSerial(ctx.random);
  }

  return {
    async next(last) {
      if (last?.context['bucket'] === NIC_BUCKET) advance();
      while (await findNic(ctx, toMac(oui + serial))) advance();
      return toMac(oui + serial);
    },
  };
}

function randomSerial(random: () => number): number {
  return Math.floor(random() * SERIALS);
}
