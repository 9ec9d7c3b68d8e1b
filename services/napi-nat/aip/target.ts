// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Where an AIP may point (RFD 158, UpdateAIP): "If you don't pass in the
 * optional private-ip the API will attempt to determine which private IP
 * address to map to. If the instance is multihomed on multiple fabric networks
 * it will default to which ever is the primary IP. If the primary IP is not a
 * fabric IP the request will fail."
 */

import { invalidParameter, notFound, ServiceError } from '#lib/errors.js';
import type { FabricRule } from '#lib/model/dataplane.js';
import { and, eq } from '#lib/store/filter-text.js';
import type { BatchRequest, StoredObject } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import { fabricOf } from '../nat-reform/fabric.js';
import { readNetwork } from '../network/read.js';
import { NIC_BUCKET, type NicRecord } from '../nic/record.js';
import { findPublic } from '../public/find.js';
import type { PublicRecord } from '../public/record.js';
import {
  AIP_BUCKET,
  type AipRecord,
  type AipTarget,
  targetOf,
} from './record.js';

/** What a client asks for. */
export interface TargetRequest {
  /** Instance's owner: the AIP's. */
  owner_uuid: string;
  instance: string;
  private_ip?: string | undefined;
}

/** A target with what makes it right, as read. */
export interface ResolvedTarget {
  target: AipTarget;
  /** The SNAT public IP of its fabric: the AIP goes to the same zone. */
  follows: PublicRecord;
  /** Fails the batch when the NIC is gone or changed by then. */
  guard: BatchRequest;
}

function unprocessable(field: string, message: string): ServiceError {
  return new ServiceError(422, {
    code: 'InvalidParameters',
    message: 'Invalid parameters',
    errors: [invalidParameter(field, message)],
  });
}

/** The error of an AIP, or private address, that is taken. */
export function aipInUse(message: string): ServiceError {
  return new ServiceError(409, { code: 'AIPInUse', message });
}

function chooseNic(
  nics: StoredObject<NicRecord>[],
  request: TargetRequest,
): StoredObject<NicRecord> {
  if (request.private_ip !== undefined) {
    const wanted = nics.find(
      ({ value }) => value.ipaddr === request.private_ip,
    );
    if (wanted) return wanted;
    throw unprocessable(
      'private_ip',
      `${request.private_ip} is not an address of the instance`,
    );
  }
  const chosen =
    nics.length === 1 ? nics[0] : nics.find(({ value }) => value.primary_flag);
  if (chosen) return chosen;
  throw unprocessable(
    'instance',
    'the instance has several NICs and none is primary: name a private_ip',
  );
}

/** The NAT Reform fabric that a NIC is on. */
async function fabricOfNic(
  ctx: NapiContext,
  nic: NicRecord,
  request: TargetRequest,
): Promise<FabricRule> {
  const named = request.private_ip !== undefined;
  const field = named ? 'private_ip' : 'instance';
  const what = named ? 'the address' : "the instance's primary IP";
  const network =
    nic.network_uuid === undefined || nic.ipaddr === undefined
      ? null
      : await readNetwork(ctx, nic.network_uuid);
  if (network === null || network.fabric !== true) {
    throw unprocessable(field, `${what} is not on a fabric network`);
  }
  const fabric = fabricOf(network);
  if (fabric === null) {
    throw unprocessable(
      field,
      `fabric network ${network.uuid} does not use NAT Reform`,
    );
  }
  return fabric;
}

async function refuseTaken(
  ctx: NapiContext,
  target: string,
  aipUuid: string,
): Promise<void> {
  const found = await ctx.store.findObjects<AipRecord>(
    AIP_BUCKET,
    eq('target', target),
  );
  const other = found.objects.find(({ value }) => value.uuid !== aipUuid);
  if (other) {
    throw aipInUse(
      `private IP ${other.value.private_ip} already has AIP ${other.value.uuid}`,
    );
  }
}

/**
 * Finds the private address that an AIP is to have.
 * @param aipUuid the AIP that will point there
 * @throws ServiceError 404 "instance not found", also for another owner's; 422
 *   on instance or private_ip; 409 AIPInUse when the address has an AIP
 */
export async function resolveTarget(
  ctx: NapiContext,
  request: TargetRequest,
  aipUuid: string,
): Promise<ResolvedTarget> {
  const found = await ctx.store.findObjects<NicRecord>(
    NIC_BUCKET,
    and(
      eq('belongs_to_uuid', request.instance),
      eq('owner_uuid', request.owner_uuid),
    ),
    { noLimit: true },
  );
  const nics = found.objects.filter(
    ({ value }) => value.belongs_to_type === 'zone',
  );
  if (nics.length === 0) throw notFound('instance not found');
  const nic = chooseNic(nics, request);
  const fabric = await fabricOfNic(ctx, nic.value, request);
  const privateIp = nic.value.ipaddr as string;
  const target = targetOf(fabric.vnet_id, privateIp);
  await refuseTaken(ctx, target, aipUuid);
  const follows = await findPublic(ctx, fabric.nat_reform_public);
  // Deleted with its fabric since that was read, and the NIC with it.
  if (follows === null) throw notFound('instance not found');
  return {
    target: {
      belongs_to_uuid: request.instance,
      belongs_to_type: 'Instance',
      private_ip: privateIp,
      vnet_id: fabric.vnet_id,
      vlan_id: fabric.vlan_id,
      fabric_network_uuid: fabric.network_uuid,
      target,
    },
    follows: follows.value,
    guard: {
      bucket: NIC_BUCKET,
      key: nic.key,
      value: nic.value,
      options: { etag: nic._etag },
    },
  };
}
