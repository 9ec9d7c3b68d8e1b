// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the datacenter is: the `sdc` application, its fabrics' configuration,
 * and the two networks that a NAT zone has a NIC on (RFD 158: underlay and
 * external).
 */

import type { Context } from '../context.js';
import { internalError, updateError } from '../errors.js';
import type {
  Application,
  FabricCfg,
  Network,
  SapiInstance,
  SapiService,
} from '../triton.js';

export const SERVICE = 'vxlnat';

export interface Site {
  app: Application;
  underlay: Network;
  external: Network;
}

async function application(ctx: Context): Promise<Application> {
  const found = await ctx.clients.sapi.applications({ name: 'sdc' });
  const [app] = found;
  if (app === undefined || found.length > 1) {
    throw internalError(`${found.length} "sdc" applications found in SAPI`);
  }
  return app;
}

/** Refuses a datacenter whose SAPI is still in its set-up mode. */
async function assertFullMode(ctx: Context): Promise<void> {
  const mode = await ctx.clients.sapi.mode();
  if (mode !== 'full') {
    throw updateError(`SAPI is not in "full" mode: mode=${mode}`);
  }
}

async function serviceNamed(
  ctx: Context,
  app: Application,
  name: string,
): Promise<SapiService | null> {
  const found = await ctx.clients.sapi.services({
    name,
    application_uuid: app.uuid,
  });
  return found[0] ?? null;
}

async function network(
  ctx: Context,
  cfg: FabricCfg,
  key: 'sdc_underlay_pool' | 'sdc_nat_pool',
): Promise<Network> {
  const uuid = cfg[key];
  if (uuid === undefined) {
    throw updateError(
      `SAPI application "sdc": metadata.fabric_cfg.${key} is not set; name a ` +
        'network or a network pool there',
    );
  }
  const found =
    (await ctx.clients.napi.network(uuid)) ??
    (await ctx.clients.napi.pool(uuid));
  if (found === null) {
    throw updateError(
      `SAPI application "sdc": metadata.fabric_cfg.${key}: NAPI has no ` +
        `network and no network pool ${uuid}`,
    );
  }
  return found;
}

/**
 * Looks the datacenter up.
 * @throws SdcadmError where fabrics are not set up
 */
export async function readSite(ctx: Context): Promise<Site> {
  await assertFullMode(ctx);
  const app = await application(ctx);
  const cfg = app.metadata['fabric_cfg'] as FabricCfg | undefined;
  const portolan = await serviceNamed(ctx, app, 'portolan');
  if (portolan === null || cfg === undefined) {
    throw updateError(
      'The "portolan" service is required\n' +
        'Please, install it with `sdcadm post-setup fabrics`.',
    );
  }
  const underlay = await network(ctx, cfg, 'sdc_underlay_pool');
  const external = await network(ctx, cfg, 'sdc_nat_pool');
  return { app, underlay, external };
}

/** Our service and its instances; null before post-setup. */
export async function findService(ctx: Context): Promise<{
  service: SapiService;
  instances: SapiInstance[];
} | null> {
  const app = await application(ctx);
  const service = await serviceNamed(ctx, app, SERVICE);
  if (service === null) return null;
  const instances = await ctx.clients.sapi.instances({
    service_uuid: service.uuid,
  });
  return { service, instances };
}

/** As `findService`, for commands that need it. */
export async function requireService(ctx: Context) {
  const found = await findService(ctx);
  if (found === null) throw internalError(`no "${SERVICE}" service found`);
  return found;
}
