// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Zones are emptied, forgotten by napi-nat, and their machines destroyed. */

import type { Context } from '../context.js';
import type { Procedure } from '../procedure.js';
import { SERVICE } from '../steps/site.js';
import { retireZone } from '../steps/zones.js';
import type { SapiService } from '../triton.js';

/** A zone to remove. */
export interface Target {
  uuid: string;
  /** Null for one that napi-nat knows and SAPI does not. */
  alias: string | null;
}

function describe({ uuid, alias }: Target): string {
  const moved = `move the work of zone ${uuid} to other zones and\n`;
  return alias === null
    ? `${moved}    remove it from NAPI`
    : `${moved}    remove "${SERVICE}" service instance ${uuid} (${alias})`;
}

async function remove(ctx: Context, { uuid, alias }: Target): Promise<void> {
  ctx.ui(`Moving the work of zone ${uuid}`);
  await retireZone(ctx, uuid);
  if (alias === null) return;
  ctx.ui(`Removing instance ${uuid} (${alias})`);
  await ctx.clients.sapi.deleteInstance(uuid);
}

/** @param service to be removed too, when nothing is left of it */
export function removeZones(
  targets: Target[],
  service: SapiService | null,
): Procedure {
  return async (ctx) => {
    if (targets.length === 0 && service === null) return null;
    return {
      summary: [
        ...targets.map(describe),
        ...(service === null ? [] : [`remove "${SERVICE}" service from SAPI`]),
      ],
      execute: async () => {
        for (const target of targets) await remove(ctx, target);
        if (service === null) return;
        ctx.ui(`Removing "${SERVICE}" service`);
        for (const uuid of Object.values(service.manifests ?? {})) {
          await ctx.clients.sapi.deleteManifest(uuid);
        }
        await ctx.clients.sapi.deleteService(service.uuid);
      },
    };
  };
}
