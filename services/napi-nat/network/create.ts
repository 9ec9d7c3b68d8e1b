// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Making a network: one batch with its record, its addresses, its place in
 * NAT Reform and its event, so that no half of a network is ever seen (real
 * NAPI writes these one after another).
 */

import {
  type FieldError,
  invalidParameter,
  ServiceError,
} from '#lib/errors.js';
import { formatCidr } from '#lib/net/cidr.js';
import {
  formatIp,
  formatIpPrefix,
  type IpPrefix,
  lastIp,
  parseIpPrefix,
  stepped,
} from '#lib/net/ip.js';
import { eq } from '#lib/store/filter-text.js';
import { type BatchRequest, isStoreError } from '#lib/store/types.js';
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
  checkFamilies,
  checkMtu,
  checkOverlap,
  checkOwners,
  checkRange,
  checkVnet,
  isPrivate,
} from './check.js';
import { networkEvent } from './event.js';
import { freeSubnet } from './free-subnet.js';
import type { CreateInput } from './input.js';
import { findNetwork } from './read.js';
import { NETWORK_BUCKET, type NetworkRecord, nameKey } from './record.js';
import { readSpace, spaceName } from './space.js';
import { networkTurn } from './turn.js';

const DEFAULT_MTU = 1500;

/** Input whose subnet and range are known. */
type Complete = CreateInput & {
  subnet: IpPrefix;
  provision_start_ip: string;
  provision_end_ip: string;
};

/** Steps 1 to 3, which need no look at the store. */
function refuseUnfit(ctx: NapiContext, input: CreateInput): void {
  const { nat_reform, auto_alloc_subnets: finds = false } = ctx.config;
  const { subnet, family, nat_reform_public: nat } = input;
  refuse(checkOwners(input));
  refuse(checkVnet(input, nat_reform.probe.vnet));
  const wanted = subnet?.base.family ?? family;
  if (wanted !== undefined) refuse(checkFamilies(wanted, input));
  refuse(checkAllocation(input, finds));
  if (nat !== undefined && nat !== '') {
    const message = 'is chosen by NAPI; only "" can be asked for';
    throw invalid([invalidParameter('nat_reform_public', message)]);
  }
}

/** Whether a fabric asks for NAT, and so for a gateway. */
function natWanted(input: CreateInput): boolean {
  return input.fabric === true && input.internet_nat === true;
}

function recordOf(input: Complete, uuid: string): NetworkRecord {
  const { subnet, fabric, owner_uuids: owners = [] } = input;
  const gateway =
    input.gateway ?? (natWanted(input) ? input.provision_start_ip : undefined);
  return {
    uuid,
    name: input.name,
    name_str: nameKey(input.name, fabric ? owners[0] : undefined),
    family: subnet.base.family,
    mtu: input.mtu ?? DEFAULT_MTU,
    nic_tag: input.nic_tag,
    vlan_id: input.vlan_id,
    subnet: formatIpPrefix(subnet),
    subnet_start: formatIp(subnet.base),
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
 *   asked again in each attempt, and what it gives must hold in the batch
 * @throws ServiceError 422 InvalidParameters; 507 SubnetsExhausted; 409 and
 *   507 from NAT Reform
 */
export async function createNetwork(
  ctx: NapiContext,
  input: CreateInput,
  precondition: () => Promise<BatchRequest[]> = async () => [],
): Promise<NetworkRecord> {
  refuseUnfit(ctx, input);
  const uuid = input.uuid ?? ctx.uuid();
  const assign = wantsNatReform(ctx, input);
  const build = () => attempt(ctx, { input, uuid, assign, precondition });
  const make = async () => {
    await prepareIps(ctx, uuid);
    try {
      return await (assign
        ? ctx.placing.run(() => commit(ctx, build))
        : commit(ctx, build));
    } catch (error) {
      await discardIps(ctx, uuid);
      throw error;
    }
  };
  const space = spaceName(input.fabric ? input.vnet_id : undefined);
  // Turns are taken in this order everywhere: network, space, placing.
  return networkTurn(ctx, uuid, () => ctx.turns.run(space, make));
}

function wantsNatReform(ctx: NapiContext, input: CreateInput): boolean {
  const { fabric, internet_nat: nat = true, gateway } = input;
  if (!fabric || !nat || !(gateway || natWanted(input))) return false;
  return ctx.config.nat_reform.default || input.nat_reform_public === '';
}

interface Attempt {
  input: CreateInput;
  uuid: string;
  assign: boolean;
  precondition: () => Promise<BatchRequest[]>;
}

async function attempt(ctx: NapiContext, of: Attempt) {
  const conditions = await of.precondition();
  const { input, claims } = await withSubnet(ctx, of.input);
  const fresh = recordOf(input, of.uuid);
  const tag = await findNicTag(ctx, fresh.nic_tag);
  if (tag === null) throw invalid([noSuchTag()]);
  refuse(checkMtu(fresh.mtu, tag.value.mtu));
  await refuseTaken(ctx, fresh);
  const { network, changes } = of.assign
    ? await assigned(ctx, fresh)
    : { network: fresh, changes: { requests: [], events: [] } };
  const { bucket, key, _etag: etag } = tag;
  const own: Changes = {
    requests: [
      ...conditions,
      { operation: 'check', bucket, key, options: { etag } },
      {
        bucket: NETWORK_BUCKET,
        key: network.uuid,
        value: network,
        options: { etag: null },
      },
      ...initialIps(network, ctx.config.admin_uuid),
      ...claims,
    ],
    events: [networkEvent(network, ['create'])],
  };
  return { changes: merge(own, changes), result: network };
}

/** Step 4: the subnet with its range, found if need be, and free. */
async function withSubnet(
  ctx: NapiContext,
  input: CreateInput,
): Promise<{ input: Complete; claims: BatchRequest[] }> {
  const { subnet } = input;
  if (subnet !== undefined) refuseRange(input as Complete);
  // Operators use private subnets again on separate wires.
  if (!input.fabric && subnet && isPrivate(subnet)) {
    return { input: input as Complete, claims: [] };
  }
  const vnet = input.fabric ? input.vnet_id : undefined;
  const { networks, claim } = await readSpace(ctx, vnet);
  if (subnet !== undefined) {
    refuse(checkOverlap(subnet, networks));
    return { input: input as Complete, claims: [claim] };
  }
  const found = foundSubnet(networks);
  const first = stepped(found.base, 1);
  const last = stepped(lastIp(found), -1);
  if (first === null || last === null) throw new RangeError('no such range');
  const complete: Complete = {
    ...input,
    subnet: found,
    provision_start_ip: formatIp(first),
    provision_end_ip: formatIp(last),
  };
  refuseRange(complete);
  return { input: complete, claims: [claim] };
}

function refuseRange(input: Complete): void {
  const { subnet, provision_start_ip: start, provision_end_ip: end } = input;
  refuse(checkRange({ subnet, start, end, gateway: input.gateway }));
  if (input.fabric) refuse(checkFabricSubnet(subnet));
}

/** @throws ServiceError 507 SubnetsExhausted */
function foundSubnet(networks: readonly NetworkRecord[]): IpPrefix {
  const cidr = freeSubnet(networks.map(({ subnet }) => subnet));
  const found = cidr === null ? null : parseIpPrefix(formatCidr(cidr));
  if (found !== null) return found;
  const message = 'out of subnets';
  throw new ServiceError(507, { code: 'SubnetsExhausted', message });
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
