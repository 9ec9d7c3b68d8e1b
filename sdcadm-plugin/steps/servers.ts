// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Which compute nodes the operator means, and whether a zone can live there. */

import { UsageError } from '#lib/errors.js';
import type { Context } from '../context.js';
import { updateError } from '../errors.js';
import type { Server } from '../triton.js';
import type { Site } from './site.js';

/** As sdcadm writes a server. */
export function serverName(server: Pick<Server, 'uuid' | 'hostname'>): string {
  return `${server.uuid} (${server.hostname})`;
}

function list(heading: string, servers: Server[]): string {
  return [heading, ...servers.map((each) => `    ${serverName(each)}`)].join(
    '\n',
  );
}

function tagsOf(server: Server): string[] {
  const { sysinfo = {} } = server;
  const nics = {
    ...sysinfo['Network Interfaces'],
    ...sysinfo['Link Aggregations'],
  };
  return Object.values(nics).flatMap((nic) => nic['NIC Names'] ?? []);
}

function refuseWithoutTag(servers: Server[], tag: string, key: string): void {
  const without = servers.filter((server) => !tagsOf(server).includes(tag));
  if (without.length === 0) return;
  throw updateError(
    list(
      `The following servers have no NIC with the ${key} network's tag "${tag}":`,
      without,
    ),
  );
}

/**
 * @param names hostnames or UUIDs
 * @throws UsageError for one that there is not
 */
export async function serversNamed(
  ctx: Context,
  names: readonly string[],
): Promise<Server[]> {
  const all = names.length === 0 ? [] : await ctx.clients.cnapi.servers();
  return names.map((name) => {
    const found = all.find(
      (server) => server.uuid === name || server.hostname === name,
    );
    if (found === undefined) {
      throw new UsageError(`Cannot find server "${name}"`);
    }
    return found;
  });
}

/**
 * @param names hostnames or UUIDs; none is an error, as in `sdcadm create`
 * @returns the servers in that order, each once
 * @throws UsageError naming what is unknown, not set up or not running
 */
export async function selectServers(
  ctx: Context,
  names: readonly string[],
): Promise<Server[]> {
  if (names.length === 0) {
    throw new UsageError(
      'must specify at least one server via the "-s, --servers" option',
    );
  }
  const chosen = await serversNamed(ctx, names);
  const servers = [...new Set(chosen)];
  const bare = servers.filter((server) => !server.setup);
  if (bare.length > 0) {
    throw new UsageError(list('The following servers are not setup:', bare));
  }
  const gone = servers.filter((server) => server.status !== 'running');
  if (gone.length > 0) {
    throw new UsageError(list('The following servers are not running:', gone));
  }
  return servers;
}

/**
 * A zone's NICs need the tags of the two networks on its compute node.
 * @throws SdcadmError naming the servers that lack one
 */
export function requireTags(servers: Server[], site: Site): void {
  refuseWithoutTag(servers, site.underlay.nic_tag, 'underlay');
  refuseWithoutTag(servers, site.external.nic_tag, 'external');
}
