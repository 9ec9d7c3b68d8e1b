// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Making a network: one batch with its record, its addresses, its place in
 * NAT Reform and its event, so that no half of a network is ever seen (real
 * NAPI writes these one after another).
 */

import { type FieldError, invalidParameter } from '#lib/errors.js';
import { type Cidr, formatCidr } from '#lib/net/cidr.js';
import { formatIpv4 } from '#lib/net/ipv4.js';
import { eq } from '#lib/store/filter-text.js';
import { isStoreError } from '#lib/store/types.js';
import { type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import { initialIps } from '../ip/initial.js';
import { ipBucket, ipBucketConfig } from '../ip/record.js';
import { assignFabric } from '../nat-reform/hooks.js';
import { findNicTag } from '../nic-tag/tags.js';
import { duplicate, invalid, refuse } from '../validate/params.js';
import {
  checkAllocation,
  checkFabricSubnet,
  checkMtu,
  checkOwners,
  checkRange,
  checkVnet,
} from './check.js';
import { networkEvent } from './event.js';
import type { CreateInput } from './input.js';
import { findNetwork } from './read.js';
import { NETWORK_BUCKET, type NetworkRecord, nameKey } from './record.js';
import { claimSubnet, spaceName } from './space.js';
import { networkTurn } from './turn.js';

const DEFAULT_MTU = 1500;

/** Input that has passed the steps that need no look at the store. */
type Complete = CreateInput & {
  subnet: Cidr;
  provision_start_ip: string;
  provision_end_ip: string;
};

/** Steps 1 to 3 (step 2 is about families; there is only IPv4). */
function complete(input: CreateInput, probeVnet: number): Complete {
  refuse(checkOwners(input));
  refuse(checkVnet(input, probeVnet));
  refuse(checkAllocation(input));
  const nat = input.nat_reform_public;
  if (nat !== undefined && nat !== '') {
    const message = 'is chosen by NAPI; only "" can be asked for';
    throw invalid([invalidParameter('nat_reform_public', message)]);
  }
  return input as Complete;
}

function recordOf(input: Complete, uuid: string): NetworkRecord {
  const { subnet, fabric, owner_uuids: owners = [] } = input;
  const natWanted = fabric === true && input.internet_nat === true;
  const gateway =
    input.gateway ?? (natWanted ? input.provision_start_ip : undefined);
  return {
    uuid,
    name: input.name,
    name_str: nameKey(input.name, fabric ? owners[0] : undefined),
    family: 'ipv4',
    mtu: input.mtu ?? DEFAULT_MTU,
    nic_tag: input.nic_tag,
    vlan_id: input.vlan_id,
    subnet: formatCidr(subnet),
    subnet_start: formatIpv4(subnet.base),
    provision_start_ip: input.provision_start_ip,
    provision_end_ip: input.provision_end_ip,
    resolvers: input.resolvers ?? [],
    internet_nat: input.internet_nat ?? true,
    ...(gateway && { gateway, gateway_provisioned: false }),
    ...(input.routes &&
      Object.keys(input.routes).length > 0 && { routes: input.routes }),
    ...(input.description && { description: input.description }),
    ...(owners.length > 0 && { owner_uuids: owners }),
    ...(fabric && { fabric: true as const }),
    ...(fabric && input.vnet_id !== undefined && { vnet_id: input.vnet_id }),
    v: 4,
  };
}

/**
 * Makes a network.
 * @param input whose fields are right each by itself
 * @param precondition throws when the network may not be made after all;
 *   asked again in each attempt
 * @throws ServiceError 422 InvalidParameters; 409 and 507 from NAT Reform
 */
export async function createNetwork(
  ctx: NapiContext,
  input: CreateInput,
  precondition: () => Promise<void> = async () => {},
): Promise<NetworkRecord> {
  const { vnet: probeVnet } = ctx.config.nat_reform.probe;
  const checked = complete(input, probeVnet);
  const fresh = recordOf(checked, input.uuid ?? ctx.uuid());
  const space = spaceName(fresh.vnet_id);
  const assign = wantsNatReform(ctx, fresh, input);
  const build = async () => {
    await precondition();
    return attempt(ctx, checked, fresh, assign);
  };
  const make = async () => {
    await prepareIps(ctx, fresh.uuid);
    try {
      return await (assign
        ? ctx.placing.run(() => commit(ctx, build))
        : commit(ctx, build));
    } catch (error) {
      await discardIps(ctx, fresh.uuid);
      throw error;
    }
  };
  // Turns are taken in this order everywhere: network, space, placing.
  return networkTurn(ctx, fresh.uuid, () => ctx.turns.run(space, make));
}

function wantsNatReform(
  ctx: NapiContext,
  network: NetworkRecord,
  input: CreateInput,
): boolean {
  if (!network.fabric || !network.internet_nat || !network.gateway) {
    return false;
  }
  return ctx.config.nat_reform.default || input.nat_reform_public === '';
}

async function attempt(
  ctx: NapiContext,
  input: Complete,
  fresh: NetworkRecord,
  assign: boolean,
) {
  const { subnet } = input;
  refuse(
    checkRange({
      subnet,
      start: fresh.provision_start_ip,
      end: fresh.provision_end_ip,
      gateway: fresh.gateway,
    }),
  );
  if (fresh.fabric) refuse(checkFabricSubnet(subnet));
  const claim = await claimSubnet(ctx, subnet, fresh.vnet_id);
  refuse(claim.errors);
  const tag = await findNicTag(ctx, fresh.nic_tag);
  if (tag === null) throw invalid([noSuchTag()]);
  refuse(checkMtu(fresh.mtu, tag.value.mtu));
  await refuseTaken(ctx, fresh);
  const { network, changes } = assign
    ? await assigned(ctx, fresh)
    : { network: fresh, changes: { requests: [], events: [] } };
  const own: Changes = {
    requests: [
      {
        bucket: NETWORK_BUCKET,
        key: network.uuid,
        value: network,
        options: { etag: null },
      },
      ...initialIps(network, ctx.config.admin_uuid),
      ...claim.requests,
    ],
    events: [networkEvent(network, ['create'])],
  };
  return { changes: merge(own, changes), result: network };
}

/** The error of a NIC tag that does not exist. */
export function noSuchTag(): FieldError {
  return invalidParameter('nic_tag', 'nic tag does not exist');
}

/** @throws ServiceError 422 when the name or the UUID is another network's */
export async function refuseTaken(
  ctx: Pick<NapiContext, 'store'>,
  network: NetworkRecord,
): Promise<void> {
  const named = await ctx.store.findObjects<NetworkRecord>(
    NETWORK_BUCKET,
    eq('name_str', network.name_str),
  );
  if (named.objects.some(({ key }) => key !== network.uuid)) {
    throw invalid([duplicate('name')], 'name is in use by another network');
  }
  if (await findNetwork(ctx, network.uuid)) throw invalid([duplicate('uuid')]);
}

/**
 * A network with its zone and public IP. It counts as gateway_provisioned, so
 * that VMAPI makes no NAT zone for it (facts: triton-napi 11.3).
 */
export async function assigned(
  ctx: NapiContext,
  network: NetworkRecord,
): Promise<{ network: NetworkRecord; changes: Changes }> {
  const place = await assignFabric(ctx, network);
  const { nat_reform_public, router_mac, changes } = place;
  return {
    network: {
      ...network,
      gateway_provisioned: true,
      nat_reform_public,
      router_mac,
    },
    changes,
  };
}

/** The bucket of the network's addresses; one left over is made anew. */
async function prepareIps(ctx: NapiContext, uuid: string): Promise<void> {
  if (await findNetwork(ctx, uuid)) return;
  const bucket = ipBucket(uuid);
  try {
    await ctx.store.createBucket(bucket, ipBucketConfig);
  } catch (error) {
    if (!isStoreError(error, 'BucketConflictError')) throw error;
    await ctx.store.deleteBucket(bucket);
    await ctx.store.createBucket(bucket, ipBucketConfig);
  }
}

/** Takes the bucket away again, unless there is such a network after all. */
async function discardIps(ctx: NapiContext, uuid: string): Promise<void> {
  if (await findNetwork(ctx, uuid)) return;
  try {
    await ctx.store.deleteBucket(ipBucket(uuid));
  } catch (err) {
    ctx.log.warn({ err, network: uuid }, 'empty address bucket stays');
  }
}
