// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The virtual machines behind SAPI's instances. */

import type { Context } from '../context.js';
import { internalError } from '../errors.js';
import type { SapiInstance, Vm } from '../triton.js';

/** A machine in one of these will not come back. */
const ENDED = ['destroyed', 'failed', 'incomplete'];
const TRIES = 60;
const POLL_MS = 5000;

export interface Placed {
  instance: SapiInstance;
  vm: Vm | null;
  /** Where it lives, or was meant to. */
  server: string | null;
  /** Its machine is gone or never came to be. */
  broken: boolean;
}

/** Each instance with its machine. */
export async function placedInstances(
  ctx: Context,
  instances: readonly SapiInstance[],
): Promise<Placed[]> {
  return Promise.all(
    instances.map(async (instance) => {
      const vm = await ctx.clients.vmapi.vm(instance.uuid);
      const server = vm?.server_uuid ?? instance.params.server_uuid ?? null;
      const broken = vm === null || ENDED.includes(vm.state);
      return { instance, vm, server, broken };
    }),
  );
}

/**
 * Waits until a machine runs.
 * @throws SdcadmError when it failed, or does not run after five minutes
 */
export async function waitRunning(ctx: Context, uuid: string): Promise<Vm> {
  for (let i = 0; i < TRIES; i++) {
    const vm = await ctx.clients.vmapi.vm(uuid);
    if (vm?.state === 'running') return vm;
    if (vm !== null && ENDED.includes(vm.state)) {
      throw internalError(
        `VM ${uuid} is in state "${vm.state}"; run this command again to replace it`,
      );
    }
    await ctx.pause(POLL_MS);
  }
  throw internalError(
    `VM ${uuid} does not run after ${(TRIES * POLL_MS) / 60_000} minutes`,
  );
}

/** The number that the next alias gets: the highest one and one. */
export function nextOrdinal(instances: readonly SapiInstance[]): number {
  const numbers = instances.map(({ params }) =>
    Number(/(\d+)$/.exec(params.alias ?? '')?.[1] ?? -1),
  );
  return Math.max(-1, ...numbers) + 1;
}
