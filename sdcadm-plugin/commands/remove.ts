// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `remove`: zones leave without taking traffic with them. */

import { UsageError } from '#lib/errors.js';
import { command, listOf, runOptions } from '../command.js';
import type { Context } from '../context.js';
import { openContext } from '../open.js';
import { OPTIONS, type OptionSpec } from '../options.js';
import { runProcedures } from '../procedure.js';
import { removeZones, type Target } from '../procedures/remove-zones.js';
import { serversNamed } from '../steps/servers.js';
import { findService } from '../steps/site.js';
import { placedInstances } from '../steps/vms.js';

const { HELP, YES, DRY_RUN, SERVERS } = OPTIONS;
const ALL: OptionSpec = {
  names: ['service'],
  type: 'bool',
  help: 'Remove all zones and the service.',
};

interface Zone extends Target {
  server: string | null;
}

/** Zones of SAPI, then those that only napi-nat knows. */
async function allZones(ctx: Context): Promise<Zone[]> {
  const found = await findService(ctx);
  const placed = await placedInstances(ctx, found?.instances ?? []);
  const ofSapi = placed.map(({ instance, server }) => ({
    uuid: instance.uuid,
    alias: instance.params.alias ?? '-',
    server,
  }));
  const zones = await ctx.clients.napi.zones();
  return [
    ...ofSapi,
    ...zones
      .filter((zone) => !ofSapi.some(({ uuid }) => uuid === zone.uuid))
      .map(({ uuid, server_uuid }) => ({
        uuid,
        alias: null,
        server: server_uuid ?? null,
      })),
  ];
}

async function meant(
  ctx: Context,
  zones: Zone[],
  servers: string[],
  names: string[],
): Promise<Zone[]> {
  const is = ({ uuid, alias }: Zone, name: string) =>
    uuid === name || alias === name;
  const gone = names.filter((name) => !zones.some((zone) => is(zone, name)));
  const [first] = gone;
  if (first !== undefined && gone.length === names.length) {
    throw new UsageError(`Cannot find instance "${first}"`);
  }
  // A run that failed half-way is repeated as it was typed.
  for (const name of gone) ctx.ui(`Skipping instance "${name}": not found`);
  const uuids = (await serversNamed(ctx, servers)).map(({ uuid }) => uuid);
  return zones.filter(
    (zone) =>
      names.some((name) => is(zone, name)) ||
      (zone.server !== null && uuids.includes(zone.server)),
  );
}

export const do_remove = command(
  {
    synopsis: 'Remove zones, moving their work to others first.',
    help: [
      'Remove NAT zones. Their work moves to other zones while they still',
      'forward; the last zone is not removed while it serves a network.',
      '',
      'Usage:',
      '    {{name}} remove [OPTIONS] INSTANCE... | -s SERVER[,SERVER...]',
      '    {{name}} remove [OPTIONS] --service',
      '',
      '{{options}}',
      '',
      'An INSTANCE is a UUID or an alias; a zone that only NAPI knows is named by',
      'its UUID.',
    ],
    operands: true,
    options: [HELP, YES, DRY_RUN, SERVERS, ALL],
    async run(ctx, { opts, args }) {
      const servers = listOf(opts['servers']);
      const whole = opts['service'] === true;
      if (!whole && servers.length === 0 && args.length === 0) {
        throw new UsageError(
          'must name an instance, a server ("-s") or "--service"',
        );
      }
      const zones = await allZones(ctx);
      const targets = whole ? zones : await meant(ctx, zones, servers, args);
      const service = whole
        ? ((await findService(ctx))?.service ?? null)
        : null;
      return runProcedures(
        ctx,
        [removeZones(targets, service)],
        runOptions(opts),
      );
    },
  },
  openContext,
);
