// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Opening the store that the configuration names. */

import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { openLevelStore } from '#lib/store/open.js';
import { openPostgresStore } from '#lib/store/postgres/open.js';
import type { Store } from '#lib/store/types.js';
import type { StoreConfig } from '../config.js';

/**
 * @throws Error naming the store: locked, out of reach, of a newer format, or
 *   an unfinished copy
 */
export function openStore(
  config: StoreConfig,
  options: { clock: Clock; log?: Logger; emptyUnfinished?: boolean },
): Promise<Store> {
  return 'postgres' in config
    ? openPostgresStore(config.postgres, options)
    : openLevelStore(config.directory, options);
}
