// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** napi-nat as a process that can be killed and started again where it was. */

import type { Test } from 'tape';
import {
  type NatWorld,
  talk,
  type WorldOptions,
  worldConfig,
} from './nat-world.js';
import { type ServiceProcess, startService } from './service-process.js';
import { temporaryDirectory } from './tmp.js';

export interface NatProcess extends NatWorld {
  /** Kills it with SIGKILL and starts another on the same store and ports. */
  replace(): Promise<void>;
}

/** Starts one on a store of its own; ends with the test. */
export async function startNatProcess(
  t: Test,
  options: WorldOptions = {},
): Promise<NatProcess> {
  const directory = temporaryDirectory(t);
  const settings = temporaryDirectory(t);
  const base = worldConfig(directory, options);
  // Its ports are known by what it logs.
  const config = { ...base, log_level: 'info' };
  const start = (): Promise<ServiceProcess> =>
    startService(t, 'napi-nat', config, settings);
  let running = await start();
  const { http, svp } = running.listening;
  if (http === undefined || svp === undefined) throw new Error('no ports');
  Object.assign(config, { listen: http, svp });
  const { url } = running;
  return {
    url,
    svp,
    ...talk(url),
    stop: () => running.stop(),
    async replace() {
      await running.stop('SIGKILL');
      running = await start();
    },
  };
}
