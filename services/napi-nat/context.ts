// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What every noun of napi-nat is given: the store, time, chance and settings.
 * Functions take it, or a part of it, as their first argument; `app.ts` alone
 * makes one.
 */

import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import type { Store } from '#lib/store/types.js';
import type { NapiConfig } from './config.js';
import type { Claims } from './ip/claims.js';
import type { Serial } from './nat-reform/serial.js';
import type { Turns } from './turns.js';

export interface NapiContext {
  store: Store;
  clock: Clock;
  log: Logger;
  config: NapiConfig;
  /** Uniform in [0,1). */
  random: () => number;
  /** A new random UUID, lower case. */
  uuid: () => string;
  /**
   * Placements of this process, one after another. Whoever also takes turns
   * takes them first: a network's, then a vnet's, then placing.
   */
  placing: Serial;
  /** Allocations from one network, or in one vnet, one after another. */
  turns: Turns;
  /** Addresses that requests are about to take. */
  claims: Claims;
  /** Zones whose heartbeats do not arrive, as far as they are watched. */
  deaf?: () => ReadonlySet<string>;
}
