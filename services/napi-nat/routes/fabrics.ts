// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `/fabrics`: a customer's VLANs and the networks on them (facts: triton-napi
 * 4). A network is reached only by its own owner and VLAN, and only when it
 * is a fabric network: real NAPI compares the owner alone.
 */

import { notFound, ServiceError } from '#lib/errors.js';
import { conditional } from '#lib/http/conditional.js';
import type { Handler, Reply, Request, Route } from '#lib/http/types.js';
import type { StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import {
  serializeVlan,
  VLAN_FIELDS,
  type VlanRecord,
} from '../fabric/record.js';
import {
  createVlan,
  getVlan,
  listVlans,
  removeVlan,
  updateVlan,
} from '../fabric/vlans.js';
import { createNetwork } from '../network/create.js';
import { listSpec, networkFields, networkSpecs } from '../network/input.js';
import { listNetworks } from '../network/list.js';
import { getNetwork } from '../network/read.js';
import {
  type NetworkRecord,
  pick,
  serializeNetwork,
} from '../network/record.js';
import { removeNetwork } from '../network/remove.js';
import { updateNetwork } from '../network/update.js';
import { readOrThrow } from '../validate/params.js';
import {
  clearableString,
  fields,
  isUuid,
  limit,
  offset,
  string,
  uuid,
  vlanId,
} from '../validate/values.js';
import { readCreate } from './networks.js';

const MAX_PAGE = 1000;
const vlanFields = fields(VLAN_FIELDS);
const vlanText = { name: string, description: clearableString };

/** The path's owner. @throws ServiceError 422 */
function ownerOf(request: Request): string {
  const spec = { required: { owner_uuid: uuid } };
  return readOrThrow(request.route, spec).owner_uuid;
}

/** The path's owner and VLAN. @throws ServiceError 422 */
function placeOf(request: Request): { owner: string; vlanId: number } {
  const spec = { required: { owner_uuid: uuid, vlan_id: vlanId } };
  const at = readOrThrow(request.route, spec);
  return { owner: at.owner_uuid, vlanId: at.vlan_id };
}

function shownVlan(record: VlanRecord, only?: string[]): Reply {
  return {
    status: 200,
    body: pick(serializeVlan(record), only),
    headers: { Etag: etagOfRecord(record) },
  };
}

function shownNetwork(record: NetworkRecord, only?: string[]): Reply {
  return {
    status: 200,
    body: serializeNetwork(record, { fields: only, singleOwner: true }),
    headers: { Etag: etagOfRecord(record) },
  };
}

/** The network of the path, on the request's If-Match. @throws 404 */
async function networkOf(
  ctx: NapiContext,
  request: Request,
): Promise<StoredObject<NetworkRecord>> {
  const at = placeOf(request);
  await getVlan(ctx, at.owner, at.vlanId);
  const id = request.route['uuid'] as string;
  const stored = isUuid(id) ? await getNetwork(ctx, id) : null;
  const network = stored?.value;
  const own =
    network?.fabric === true &&
    network.owner_uuids?.[0] === at.owner &&
    network.vlan_id === at.vlanId;
  if (stored === null || !own) throw notFound('network not found');
  if (request.method !== 'GET') conditional(request, stored._etag);
  return stored;
}

async function makeVlan(ctx: NapiContext, request: Request): Promise<Reply> {
  const input = readOrThrow(request.params, {
    required: { owner_uuid: uuid, vlan_id: vlanId },
    optional: { ...vlanText, fields: vlanFields },
  });
  const { owner_uuid: owner, vlan_id: id, fields: only, ...text } = input;
  return shownVlan(await createVlan(ctx, owner, id, text), only);
}

async function changeVlan(ctx: NapiContext, request: Request): Promise<Reply> {
  const at = placeOf(request);
  await getVlan(ctx, at.owner, at.vlanId);
  const input = readOrThrow(request.params, {
    optional: { ...vlanText, fields: vlanFields },
  });
  const { fields: only, ...text } = input;
  const check = (etag: string) => void conditional(request, etag);
  return shownVlan(await updateVlan(ctx, at, text, check), only);
}

async function oneVlan(ctx: NapiContext, request: Request): Promise<Reply> {
  const at = placeOf(request);
  const { fields: only } = readOrThrow(request.params, {
    optional: { fields: vlanFields },
  });
  const stored = await getVlan(ctx, at.owner, at.vlanId);
  const unchanged = conditional(request, stored._etag);
  return unchanged ?? shownVlan(stored.value, only);
}

async function manyVlans(ctx: NapiContext, request: Request): Promise<Reply> {
  const owner = ownerOf(request);
  const query = readOrThrow(request.params, {
    optional: { fields: vlanFields, limit, offset },
  });
  const vlans = await listVlans(ctx, owner, {
    limit: query.limit ?? MAX_PAGE,
    offset: query.offset ?? 0,
  });
  const body = vlans.map((vlan) => pick(serializeVlan(vlan), query.fields));
  return { status: 200, body };
}

async function makeNetwork(ctx: NapiContext, request: Request): Promise<Reply> {
  const at = placeOf(request);
  const { value: vlan } = await getVlan(ctx, at.owner, at.vlanId);
  const { overlay } = ctx.config;
  const input = await readCreate(ctx, {
    ...request.params,
    fabric: true,
    mtu: overlay.default_overlay_mtu,
    nic_tag: overlay.overlay_nic_tag,
    vnet_id: vlan.vnet_id,
    vlan_id: vlan.vlan_id,
    owner_uuids: [at.owner],
  });
  // The VLAN must still be there when the network's turn has come.
  const record = await createNetwork(ctx, input, async () => {
    const vlanNow = await getVlan(ctx, at.owner, at.vlanId);
    const { bucket, key, _etag: etag } = vlanNow;
    return [{ operation: 'check', bucket, key, options: { etag } }];
  });
  return shownNetwork(record, input.fields);
}

async function manyNetworks(
  ctx: NapiContext,
  request: Request,
): Promise<Reply> {
  const at = placeOf(request);
  await getVlan(ctx, at.owner, at.vlanId);
  const input = readOrThrow(request.params, listSpec);
  const networks = await listNetworks(ctx, {
    ...input,
    owner_uuid: at.owner,
    vlan_id: at.vlanId,
    fabric: true,
  });
  const body = networks.map((network) =>
    serializeNetwork(network, { singleOwner: true }),
  );
  return { status: 200, body };
}

async function oneNetwork(ctx: NapiContext, request: Request): Promise<Reply> {
  const stored = await networkOf(ctx, request);
  const { fields: only } = readOrThrow(request.params, {
    optional: { fields: networkFields },
  });
  const unchanged = conditional(request, stored._etag);
  return unchanged ?? shownNetwork(stored.value, only);
}

async function changeNetwork(
  ctx: NapiContext,
  request: Request,
): Promise<Reply> {
  await networkOf(ctx, request);
  // The path's VLAN is a parameter too, and is the network's own.
  const input = readOrThrow(request.params, networkSpecs(ctx.config).update);
  const find = () => networkOf(ctx, request);
  return shownNetwork(await updateNetwork(ctx, find, input));
}

function vlanRoutes(ctx: NapiContext): Route[] {
  const vlans = '/fabrics/:owner_uuid/vlans';
  const one = `${vlans}/:vlan_id`;
  return [
    route('GET', vlans, 'listfabricvlans', (r) => manyVlans(ctx, r)),
    route('POST', vlans, 'createfabricvlan', (r) => makeVlan(ctx, r)),
    route('GET', one, 'getfabricvlan', (r) => oneVlan(ctx, r)),
    route('PUT', one, 'updatefabricvlan', (r) => changeVlan(ctx, r)),
    route('DELETE', one, 'deletefabricvlan', async (r) => {
      const { owner, vlanId: id } = placeOf(r);
      const check = (etag: string) => void conditional(r, etag);
      await removeVlan(ctx, owner, id, check);
      return { status: 204 };
    }),
  ];
}

function fabricNetworkRoutes(ctx: NapiContext): Route[] {
  const networks = '/fabrics/:owner_uuid/vlans/:vlan_id/networks';
  const one = `${networks}/:uuid`;
  return [
    route('GET', networks, 'listfabricnetworks', (r) => manyNetworks(ctx, r)),
    route('POST', networks, 'createfabricnetwork', (r) => makeNetwork(ctx, r)),
    route('GET', one, 'getfabricnetwork', (r) => oneNetwork(ctx, r)),
    route('PUT', one, 'updatefabricnetwork', (r) => changeNetwork(ctx, r)),
    route('DELETE', one, 'deletefabricnetwork', async (r) => {
      const { key } = await networkOf(ctx, r);
      await removeNetwork(ctx, key, () => networkOf(ctx, r));
      return { status: 204 };
    }),
  ];
}

function route(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  name: string,
  handler: Handler,
): Route {
  return { method, path, name, handler };
}

/** Routes of fabrics; all answer 428 where overlays are not enabled. */
export function fabricRoutes(ctx: NapiContext): Route[] {
  const all = [...vlanRoutes(ctx), ...fabricNetworkRoutes(ctx)];
  if (ctx.config.overlay.enabled) return all;
  return all.map((each) => ({
    ...each,
    handler: () => {
      throw new ServiceError(428, {
        code: 'PreconditionRequiredError',
        message: 'overlay networking is not enabled',
      });
    },
  }));
}
