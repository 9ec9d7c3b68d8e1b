// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** napi-nat as processes that can be killed and started again where they were. */

import type { Test } from 'tape';
import {
  type NatWorld,
  talk,
  type WorldOptions,
  worldConfig,
} from './nat-world.js';
import { freshAddress } from './postgres.js';
import { type ServiceProcess, startService } from './service-process.js';
import { temporaryDirectory } from './tmp.js';
import { until } from './until.js';

export interface NatProcess extends NatWorld {
  /** Kills it with SIGKILL and starts another on the same store and ports. */
  replace(): Promise<void>;
}

/** A process, and what starts it again on its ports. */
interface Restartable {
  process: ServiceProcess;
  again(): Promise<ServiceProcess>;
}

async function startRestartable(
  t: Test,
  base: object,
): Promise<Restartable & { svp: NatWorld['svp'] }> {
  const settings = temporaryDirectory(t);
  // Its ports are known by what it logs.
  const config = { ...base, log_level: 'info' };
  const again = () => startService(t, 'napi-nat', config, settings);
  const process = await again();
  const { http, svp } = process.listening;
  if (http === undefined || svp === undefined) throw new Error('no ports');
  Object.assign(config, { listen: http, svp });
  return { process, again, svp };
}

/** Starts one on a store of its own; ends with the test. */
export async function startNatProcess(
  t: Test,
  options: WorldOptions = {},
): Promise<NatProcess> {
  const config = worldConfig(temporaryDirectory(t), options);
  const one = await startRestartable(t, config);
  const { url } = one.process;
  return {
    url,
    svp: one.svp,
    ...talk(url),
    stop: () => one.process.stop(),
    async replace() {
      await one.process.stop('SIGKILL');
      one.process = await one.again();
    },
  };
}

/** Two napi-nat on one PostgreSQL; calls go to one that lives. */
export interface NatPair extends NatWorld {
  postgres: { url: string; schema: string };
  /** Kills who leads; when the other one leads it is started again. */
  killLeader(): Promise<void>;
}

/** The last term in which a process has led; 0 when it never has. */
function termOf({ process }: Restartable): number {
  const led = process.said().match(/"term":\d+,"msg":"leading"/g) ?? [];
  return Number(led.at(-1)?.match(/\d+/)?.[0] ?? 0);
}

/** Starts two; they end with the test. */
export async function startNatPair(
  t: Test,
  options: WorldOptions = {},
): Promise<NatPair> {
  const postgres = await freshAddress();
  const config = { ...worldConfig('', options), store: { postgres } };
  const first = await startRestartable(t, config);
  let [leader, other] = [first, await startRestartable(t, config)];
  await until('one to lead', () => termOf(leader) > 0);
  const now = () => talk(leader.process.url);
  return {
    url: first.process.url,
    svp: first.svp,
    postgres,
    call: (...args) => now().call(...args),
    must: (...args) => now().must(...args),
    async stop() {
      await Promise.all([leader, other].map((each) => each.process.stop()));
    },
    async killLeader() {
      const before = termOf(leader);
      [leader, other] = [other, leader];
      await other.process.stop('SIGKILL');
      await until('the other to lead', () => termOf(leader) > before);
      other.process = await other.again();
    },
  };
}
