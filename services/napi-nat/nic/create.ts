// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Making a NIC, with an address when it is to be on a network. */

import { type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import type { IpClaim } from '../ip/choose.js';
import { networkTurn } from '../network/turn.js';
import { duplicate, invalid } from '../validate/params.js';
import { createAddressSource, setAddress } from './address.js';
import {
  consequences,
  type NicAt,
  nicAt,
  nicEvent,
  putNic,
} from './changes.js';
import { type CreateInput, refuseUnderlay, tagName } from './input.js';
import { createMacChooser } from './mac.js';
import { placeNic } from './place.js';
import { findNic } from './read.js';
import { NIC_FLAGS, type NicRecord } from './record.js';

/** The NIC's own fields, without address. */
function recordOf(
  ctx: NapiContext,
  input: CreateInput,
  mac: number,
): NicRecord {
  const now = ctx.clock.now();
  const flags = NIC_FLAGS.filter((name) => input[name] === true);
  return {
    mac,
    belongs_to_type: input.belongs_to_type,
    belongs_to_uuid: input.belongs_to_uuid,
    owner_uuid: input.owner_uuid,
    primary_flag: input.primary === true,
    state: input.state ?? 'provisioning',
    created_timestamp: now,
    modified_timestamp: now,
    ...(input.nic_tag && { nic_tag: tagName(input.nic_tag) }),
    ...(input.nic_tags_provided?.length && {
      nic_tags_provided: input.nic_tags_provided,
    }),
    ...(input.cn_uuid && { cn_uuid: input.cn_uuid }),
    ...(input.model && { model: input.model }),
    ...(Object.fromEntries(flags.map((name) => [name, true])) as object),
    v: 3,
  };
}

/** Who an address is for. */
export function claimOf(
  nic: Pick<NicRecord, 'belongs_to_type' | 'belongs_to_uuid' | 'owner_uuid'>,
  reserved: boolean | undefined,
): IpClaim {
  return {
    belongs_to_type: nic.belongs_to_type,
    belongs_to_uuid: nic.belongs_to_uuid,
    owner_uuid: nic.owner_uuid,
    ...(reserved !== undefined && { reserved }),
  };
}

/**
 * Makes a NIC.
 * @throws ServiceError 422 naming the field; 507 SubnetFull; 500 when no MAC
 *   is left
 */
export async function createNic(
  ctx: NapiContext,
  input: CreateInput,
): Promise<NicAt> {
  refuseUnderlay(input.underlay, input.belongs_to_type);
  const addresses = createAddressSource(ctx, input.ip);
  const macs = createMacChooser(ctx);
  return networkTurn(ctx, input.network_uuid, () =>
    commit(ctx, async (_attempt, last) => {
      if (input.mac !== undefined && (await findNic(ctx, input.mac))) {
        throw invalid([duplicate('mac')]);
      }
      const place = await placeNic(ctx, input);
      const nic = recordOf(ctx, input, input.mac ?? (await macs.next(last)));
      const own: Changes = { requests: [], events: [] };
      let network: NicAt['network'] = null;
      if (place) {
        const claim = claimOf(nic, input.reserved);
        const taken = await addresses.next(place, claim, last);
        network = taken.network;
        setAddress(nic, taken);
        own.requests.push(taken.request);
      }
      const at = nicAt(nic, network);
      own.requests.unshift(...putNic(nic, null));
      own.events.push(nicEvent(at, ['create']));
      const rest = await consequences(ctx, null, at);
      return { changes: merge(own, rest), result: at };
    }),
  );
}
