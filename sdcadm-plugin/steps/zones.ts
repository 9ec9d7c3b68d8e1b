// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A NAT zone's place in napi-nat, which gives work only to zones it knows. */

import type { Context } from '../context.js';
import { internalError } from '../errors.js';
import type { NatZone, Vm } from '../triton.js';
import type { Site } from './site.js';

const DRAIN_TRIES = 60;
const POLL_MS = 1000;

/** The zone's addresses, from its machine's NICs. */
function addresses(vm: Vm, site: Site): { ul3: string; external: string } {
  const on = (tag: string, what: string) => {
    const nic = vm.nics.find((each) => each.nic_tag === tag);
    if (nic === undefined) {
      throw internalError(`VM ${vm.uuid} has no ${what} NIC (tag "${tag}")`);
    }
    return nic.ip;
  };
  return {
    ul3: on(site.underlay.nic_tag, 'underlay'),
    external: on(site.external.nic_tag, 'external'),
  };
}

/** Registers the zone; says again what is there already. */
export async function registerZone(
  ctx: Context,
  vm: Vm,
  site: Site,
): Promise<NatZone> {
  const { ul3, external } = addresses(vm, site);
  const fields = {
    ul3_ip: ul3,
    external_ip: external,
    server_uuid: vm.server_uuid,
  };
  const { napi } = ctx.clients;
  return (await napi.zone(vm.uuid)) === null
    ? napi.registerZone({ uuid: vm.uuid, ...fields })
    : napi.changeZone(vm.uuid, fields);
}

/**
 * Moves a zone's work to the others while it still forwards, then forgets it.
 * @throws SdcadmError napi-nat's: the last zone is not removed while it serves
 */
export async function retireZone(ctx: Context, uuid: string): Promise<void> {
  const { napi } = ctx.clients;
  for (let i = 0; i < DRAIN_TRIES; i++) {
    if ((await napi.zone(uuid)) === null) return;
    await napi.deleteZone(uuid);
    if ((await napi.zone(uuid)) === null) return;
    await ctx.pause(POLL_MS);
  }
  throw internalError(`zone ${uuid} still serves after a minute`);
}
