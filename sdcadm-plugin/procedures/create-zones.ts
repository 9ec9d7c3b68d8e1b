// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Each of the servers has one NAT zone, and napi-nat knows it. An instance
 * whose machine failed is replaced; one whose registration was missed is
 * registered.
 */

import type { Context } from '../context.js';
import type { Plan, Procedure } from '../procedure.js';
import type { ChosenImage } from '../steps/image.js';
import { serverName } from '../steps/servers.js';
import {
  findService,
  requireService,
  SERVICE,
  type Site,
} from '../steps/site.js';
import {
  nextOrdinal,
  type Placed,
  placedInstances,
  waitRunning,
} from '../steps/vms.js';
import { registerZone } from '../steps/zones.js';
import type { Server } from '../triton.js';

/** What a server lacks. */
interface Lack {
  server: Server;
  /** To be taken away first. */
  failed: Placed[];
  /** It runs, but napi-nat does not know it. */
  unknown: Placed | null;
}

async function lackOf(
  ctx: Context,
  server: Server,
  placed: Placed[],
): Promise<Lack | null> {
  const here = placed.filter((each) => each.server === server.uuid);
  const alive = here.find((each) => !each.broken);
  if (alive === undefined) return { server, failed: here, unknown: null };
  const zone = await ctx.clients.napi.zone(alive.instance.uuid);
  return zone === null ? { server, failed: [], unknown: alive } : null;
}

function describe(lack: Lack, image: ChosenImage): string[] {
  const { server, failed, unknown } = lack;
  const where = `on server "${serverName(server)}"`;
  if (unknown !== null) {
    const { uuid, params } = unknown.instance;
    return [`register zone ${uuid} (${params.alias}) ${where} in NAPI`];
  }
  return [
    ...failed.map(
      ({ instance }) =>
        `remove failed "${SERVICE}" service instance ${instance.uuid} (${instance.params.alias})`,
    ),
    `create "${SERVICE}" service instance ${where}\n` +
      `    with image ${image.uuid} (${image.name}@${image.version})`,
  ];
}

async function create(
  ctx: Context,
  server: Server,
  image: ChosenImage,
): Promise<string> {
  // Numbers and service are read anew: earlier plans have changed both.
  const { service, instances } = await requireService(ctx);
  const alias = `${SERVICE}${nextOrdinal(instances)}`;
  ctx.ui(`Creating "${alias}" instance on server ${serverName(server)}`);
  const { uuid } = await ctx.clients.sapi.createInstance({
    service_uuid: service.uuid,
    params: {
      alias,
      server_uuid: server.uuid,
      ...(service.params['image_uuid'] === image.uuid
        ? {}
        : { image_uuid: image.uuid }),
    },
    metadata: {},
  });
  ctx.ui(`Created VM ${uuid} (${alias})`);
  return uuid;
}

async function supply(
  ctx: Context,
  site: Site,
  image: ChosenImage,
  lack: Lack,
): Promise<void> {
  for (const { instance } of lack.failed) {
    ctx.ui(`Removing failed instance ${instance.uuid}`);
    await ctx.clients.sapi.deleteInstance(instance.uuid);
  }
  const uuid =
    lack.unknown?.instance.uuid ?? (await create(ctx, lack.server, image));
  const vm = await waitRunning(ctx, uuid);
  const zone = await registerZone(ctx, vm, site);
  ctx.ui(`Registered zone ${zone.uuid} (UL3 ${zone.ul3_ip}) in NAPI`);
  for (const { instance } of lack.failed) await forget(ctx, instance.uuid);
}

/** A lost zone is forgotten, unless it is the last and there is work. */
async function forget(ctx: Context, uuid: string): Promise<void> {
  try {
    if ((await ctx.clients.napi.zone(uuid)) === null) return;
    await ctx.clients.napi.deleteZone(uuid);
  } catch (error) {
    ctx.ui(`Zone ${uuid} stays registered: ${(error as Error).message}`);
    ctx.ui(`    Remove it with \`sdcadm-vxlnat remove ${uuid}\`.`);
  }
}

/**
 * One at a time: a failure leaves at most one half-made.
 * @param image of the new machines, whatever the service's is
 */
export function createZones(
  site: Site,
  servers: Server[],
  image: ChosenImage,
): Procedure {
  return async (ctx): Promise<Plan | null> => {
    const found = await findService(ctx);
    const placed = await placedInstances(ctx, found?.instances ?? []);
    const lacks = (
      await Promise.all(servers.map((server) => lackOf(ctx, server, placed)))
    ).filter((lack) => lack !== null);
    if (lacks.length === 0) return null;
    return {
      summary: lacks.flatMap((lack) => describe(lack, image)),
      execute: async () => {
        for (const lack of lacks) await supply(ctx, site, image, lack);
      },
    };
  };
}
