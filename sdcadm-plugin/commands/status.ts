// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `status`: every zone with what SAPI, VMAPI and napi-nat say of it. */

import { type Column, table } from '#lib/service/table.js';
import { command } from '../command.js';
import type { Context } from '../context.js';
import { openContext } from '../open.js';
import { OPTIONS, type OptionSpec } from '../options.js';
import { requireService } from '../steps/site.js';
import { placedInstances } from '../steps/vms.js';

const JSON_OUT: OptionSpec = {
  names: ['json', 'j'],
  type: 'bool',
  help: 'JSON output.',
};

/** A zone; null where an API does not know it. */
interface Row {
  uuid: string;
  alias: string | null;
  server: string | null;
  vm: string | null;
  zone: string | null;
  ul3_ip: string | null;
  in_sync: boolean | null;
}

/** Zones of SAPI, then those that only napi-nat knows. */
async function rows(ctx: Context): Promise<Row[]> {
  const { instances } = await requireService(ctx);
  const [placed, zones, servers] = await Promise.all([
    placedInstances(ctx, instances),
    ctx.clients.napi.zones(),
    ctx.clients.cnapi.servers(),
  ]);
  const hostname = (uuid: string | null) =>
    servers.find((server) => server.uuid === uuid)?.hostname ?? uuid;
  const ofSapi = placed.map(({ instance, vm, server }) => ({
    uuid: instance.uuid,
    alias: instance.params.alias ?? null,
    server: hostname(server),
    vm: vm?.state ?? null,
  }));
  const strangers = zones
    .filter((zone) => !ofSapi.some(({ uuid }) => uuid === zone.uuid))
    .map((zone) => ({
      uuid: zone.uuid,
      alias: null,
      server: hostname(zone.server_uuid),
      vm: null,
    }));
  return [...ofSapi, ...strangers].map((row) => {
    const zone = zones.find(({ uuid }) => uuid === row.uuid);
    return {
      ...row,
      zone: zone?.state ?? null,
      ul3_ip: zone?.ul3_ip ?? null,
      in_sync: zone?.status?.in_sync ?? null,
    };
  });
}

function said(value: string | boolean | null): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value ?? '-';
}

const COLUMNS: Column<Row>[] = [
  { name: 'UUID', cell: ({ uuid }) => uuid },
  { name: 'ALIAS', cell: ({ alias }) => said(alias) },
  { name: 'SERVER', cell: ({ server }) => said(server) },
  { name: 'VM', cell: ({ vm }) => said(vm) },
  { name: 'ZONE', cell: ({ zone }) => said(zone) },
  { name: 'UL3', cell: ({ ul3_ip }) => said(ul3_ip) },
  { name: 'IN SYNC', cell: ({ in_sync }) => said(in_sync) },
];

export const do_status = command(
  {
    synopsis: 'Show every zone and what the APIs say of it.',
    help: [
      'Show every NAT zone: its machine (VMAPI) and its work (napi-nat).',
      '',
      'Usage:',
      '    {{name}} status [OPTIONS]',
      '',
      '{{options}}',
      '',
      'A "-" is what an API does not know: a zone without ZONE is not',
      'registered (run post-setup again), one without ALIAS is not of SAPI.',
    ],
    options: [OPTIONS.HELP, JSON_OUT],
    async run(ctx, { opts }) {
      const all = await rows(ctx);
      if (opts['json'] === true) ctx.ui(JSON.stringify(all, null, 2));
      else if (all.length === 0) ctx.ui('There are no zones.');
      else ctx.ui(table(COLUMNS, all));
    },
  },
  openContext,
);
