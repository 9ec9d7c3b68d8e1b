// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Changing a NIC (facts: triton-napi 5.4). A named address moves it; the old
 * one is given back in the same batch. A network alone does nothing for a NIC
 * that has an address.
 */

import type { StoredObject } from '#lib/store/types.js';
import { type Changes, commit, merge, noChanges } from '../commit.js';
import type { NapiContext } from '../context.js';
import { findIp } from '../ip/read.js';
import { putIp } from '../ip/record.js';
import { releaseIp } from '../ip/release.js';
import { findNetwork } from '../network/read.js';
import { networkTurn } from '../network/turn.js';
import {
  createAddressSource,
  setAddress,
  type TakenAddress,
} from './address.js';
import {
  consequences,
  NIC_CHANGES,
  type NicAt,
  nicAt,
  nicEvent,
  putNic,
} from './changes.js';
import { claimOf } from './create.js';
import { refuseUnderlay, tagName, type UpdateInput } from './input.js';
import { type Place, placeNic } from './place.js';
import { NIC_FLAGS, type NicRecord } from './record.js';

/** The record with what was sent, but for its address. */
function changed(
  before: NicRecord,
  input: UpdateInput,
  now: number,
): NicRecord {
  const nic: NicRecord = { ...before, modified_timestamp: now };
  for (const field of [
    'belongs_to_type',
    'belongs_to_uuid',
    'owner_uuid',
    'state',
    'cn_uuid',
    'model',
  ] as const) {
    const value = input[field];
    if (value !== undefined) nic[field] = value;
  }
  if (input.nic_tag) nic.nic_tag = tagName(input.nic_tag);
  if (input.nic_tags_provided) nic.nic_tags_provided = input.nic_tags_provided;
  if (nic.nic_tags_provided?.length === 0) delete nic.nic_tags_provided;
  if (input.primary !== undefined) nic.primary_flag = input.primary;
  for (const flag of NIC_FLAGS) {
    if (input[flag] === true) nic[flag] = true;
    if (input[flag] === false) delete nic[flag];
  }
  return nic;
}

/** A NIC with its network as stored. */
async function withNetwork(ctx: NapiContext, nic: NicRecord): Promise<NicAt> {
  const { network_uuid: uuid } = nic;
  return { nic, network: uuid ? await findNetwork(ctx, uuid) : null };
}

/** Whether the request gives the NIC another address. */
function moves(before: NicRecord, input: UpdateInput): boolean {
  if (input.ip === undefined) {
    return before.ipaddr === undefined && input.network_uuid !== undefined;
  }
  const sameNetwork =
    input.network_uuid === undefined ||
    input.network_uuid === before.network_uuid;
  return !(sameNetwork && input.ip === before.ipaddr);
}

/** The new address, taken; the old one, given back. */
async function move(
  ctx: NapiContext,
  before: NicRecord,
  nic: NicRecord,
  input: UpdateInput,
  take: (place: Place) => Promise<TakenAddress>,
): Promise<{ at: NicAt; changes: Changes }> {
  const where =
    input.network_uuid ??
    (input.nic_tag === undefined ? before.network_uuid : undefined);
  const place = await placeNic(ctx, {
    ...nic,
    ...placed(input),
    network_uuid: where,
  });
  if (place === null) {
    return { at: { nic, network: null }, changes: noChanges() };
  }
  const taken = await take(place);
  const requests = [taken.request];
  if (before.ipaddr && before.network_uuid) {
    const { network_uuid: old, ipaddr, belongs_to_uuid: holder } = before;
    requests.push(...(await releaseIp(ctx, old, ipaddr, holder)));
  }
  setAddress(nic, taken);
  const at = nicAt(nic, taken.network);
  return { at, changes: { requests, events: [] } };
}

function placed(input: UpdateInput) {
  return {
    ip: input.ip,
    nic_tag: input.nic_tag,
    nic_tags_available: input.nic_tags_available,
    vlan_id: input.vlan_id,
    check_owner: input.check_owner,
  };
}

/** The address follows the NIC to its new owner. */
async function handOver(
  ctx: NapiContext,
  before: NicRecord,
  after: NicRecord,
  reserved: boolean | undefined,
): Promise<Changes> {
  const { ipaddr, network_uuid: uuid } = after;
  const changes: Changes = { requests: [], events: [] };
  const same =
    before.belongs_to_type === after.belongs_to_type &&
    before.belongs_to_uuid === after.belongs_to_uuid &&
    before.owner_uuid === after.owner_uuid;
  if (!ipaddr || !uuid || (same && reserved === undefined)) return changes;
  const stored = await findIp(ctx, uuid, ipaddr);
  if (stored?.value.belongs_to_uuid !== before.belongs_to_uuid) return changes;
  const value = { ...stored.value, ...claimOf(after, reserved) };
  changes.requests.push(putIp(uuid, value, stored._etag));
  return changes;
}

/** What was sent, of what listeners hear. */
function heard(input: UpdateInput): string[] {
  const sent = input as Record<string, unknown>;
  return NIC_CHANGES.filter((name) => sent[name] !== undefined);
}

/**
 * Changes a NIC.
 * @param find the NIC as it is now; throws 404, or 412 on a failed If-Match
 */
export async function updateNic(
  ctx: NapiContext,
  find: () => Promise<StoredObject<NicRecord>>,
  input: UpdateInput,
): Promise<NicAt> {
  const addresses = createAddressSource(ctx, input.ip);
  return networkTurn(ctx, input.network_uuid, () =>
    commit(ctx, async (_attempt, last) => {
      const stored = await find();
      const before = stored.value;
      const nic = changed(before, input, ctx.clock.now());
      refuseUnderlay(nic.underlay, nic.belongs_to_type);
      const claim = claimOf(nic, input.reserved);
      const moved = moves(before, input)
        ? await move(ctx, before, nic, input, (place) =>
            addresses.next(place, claim, last),
          )
        : {
            at: await withNetwork(ctx, nic),
            changes: await handOver(ctx, before, nic, input.reserved),
          };
      const was = await withNetwork(ctx, before);
      const parts = heard(input);
      const own: Changes = {
        requests: putNic(nic, stored._etag),
        events: parts.length > 0 ? [nicEvent(moved.at, parts)] : [],
      };
      const rest = await consequences(ctx, was, moved.at);
      return { changes: merge(own, moved.changes, rest), result: moved.at };
    }),
  );
}
