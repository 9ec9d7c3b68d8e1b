// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is there before the first request: the overlay's NIC tags, and the
 * networks that the configuration names (facts: triton-napi 4.4, 7). What
 * exists already is left as it is.
 */

import { ServiceError, UsageError } from '#lib/errors.js';
import { formatCidr, netmask, parseCidr } from '#lib/net/cidr.js';
import { parseIpv4 } from '#lib/net/ipv4.js';
import type { InitialNetwork } from './config.js';
import type { NapiContext } from './context.js';
import { createNetwork } from './network/create.js';
import { networkSpecs } from './network/input.js';
import { findGlobalNetwork } from './network/read.js';
import { createNicTag, findNicTag } from './nic-tag/tags.js';
import { readOrThrow } from './validate/params.js';

const DEFAULT_MTU = 1500;

/**
 * Makes what is missing.
 * @throws UsageError naming the network of the configuration that cannot be
 */
export async function loadInitialData(ctx: NapiContext): Promise<void> {
  const { overlay, initial_networks: networks = {} } = ctx.config;
  if (overlay.enabled) {
    await ensureTag(ctx, overlay.overlay_nic_tag, overlay.default_overlay_mtu);
    await ensureTag(
      ctx,
      overlay.underlay_nic_tag,
      overlay.default_underlay_mtu,
    );
  }
  for (const [name, wanted] of Object.entries(networks)) {
    try {
      await ensureTag(ctx, name, wanted.mtu ?? DEFAULT_MTU);
      await ensureNetwork(ctx, name, wanted);
    } catch (error) {
      throw complaint(name, error);
    }
  }
}

async function ensureTag(
  ctx: NapiContext,
  name: string,
  mtu: number,
): Promise<void> {
  if (await findNicTag(ctx, name)) return;
  await createNicTag(ctx, { name, mtu: Math.max(mtu, DEFAULT_MTU) });
  ctx.log.info({ nic_tag: name }, 'made initial NIC tag');
}

async function ensureNetwork(
  ctx: NapiContext,
  name: string,
  wanted: InitialNetwork,
): Promise<void> {
  if (await findGlobalNetwork(ctx, name)) return;
  const { vlan, network, netmask: mask, startIP, endIP, ...rest } = wanted;
  const input = readOrThrow(
    {
      ...rest,
      name,
      nic_tag: name,
      vlan_id: vlan ?? 0,
      subnet: subnetOf(network, mask),
      provision_start_ip: startIP,
      provision_end_ip: endIP,
    },
    networkSpecs(ctx.config).create,
  );
  const made = await createNetwork(ctx, input);
  ctx.log.info(
    { network: made.uuid, network_name: name },
    'made initial network',
  );
}

/** `network` and `netmask` as CIDR text. */
function subnetOf(network: string, mask: string): string {
  const value = parseIpv4(mask);
  for (let bits = 0; bits <= 32; bits++) {
    if (value !== netmask(bits)) continue;
    const cidr = parseCidr(`${network}/${bits}`);
    if (cidr) return formatCidr(cidr);
    throw new UsageError(`network ${network} has bits outside mask ${mask}`);
  }
  throw new UsageError(`netmask ${mask} is not a netmask`);
}

function complaint(name: string, error: unknown): unknown {
  const where = `/initial_networks/${name}`;
  if (error instanceof UsageError) {
    return new UsageError(`${where}: ${error.message}`);
  }
  if (!(error instanceof ServiceError)) return error;
  const details = (error.body.errors ?? []).map((each) =>
    'field' in each ? `${each['field']}: ${each.message}` : each.message,
  );
  const what = details.length > 0 ? details.join('; ') : error.message;
  return new UsageError(`${where}: ${what}`);
}
