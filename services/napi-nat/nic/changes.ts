// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Everything that changes with a NIC, in one batch: its record, who is
 * primary, its network's gateway, SVP's rows and shootdowns, AIPs that pointed
 * at it, and its event (facts: triton-napi 5.3 to 5.7).
 */

import { formatMac, mac as toMac } from '#lib/net/mac.js';
import { and, eq, not } from '#lib/store/filter-text.js';
import type {
  BatchRequest,
  EtagCondition,
  JournalEvent,
  StoredObject,
} from '#lib/store/types.js';
import { type Changes, merge, noChanges } from '../commit.js';
import type { NapiContext } from '../context.js';
import { etagOfRecord } from '../etag.js';
import { detachForNic } from '../nat-reform/hooks.js';
import { NETWORK_BUCKET, type NetworkRecord } from '../network/record.js';
import { overlayChanges, underlayChanges } from '../ul3/rows.js';
import { NIC_BUCKET, type NicRecord, nicKey, serializeNic } from './record.js';

/** What changefeed listeners may ask to hear of NICs. */
export const NIC_CHANGES = [
  'create',
  'delete',
  'allow_dhcp_spoofing',
  'allow_ip_spoofing',
  'allow_mac_spoofing',
  'allow_restricted_traffic',
  'allow_unfiltered_promisc',
  'primary',
  'state',
];

/** A NIC at one moment, with the network that its address is on. */
export interface NicAt {
  nic: NicRecord;
  network: StoredObject<NetworkRecord> | null;
}

/** Puts a NIC; a primary one takes the flag from its owner's others. */
export function putNic(nic: NicRecord, etag: EtagCondition): BatchRequest[] {
  const put: BatchRequest = {
    bucket: NIC_BUCKET,
    key: nicKey(nic.mac),
    value: nic,
    options: { etag },
  };
  if (!nic.primary_flag) return [put];
  const others: BatchRequest = {
    operation: 'update',
    bucket: NIC_BUCKET,
    filter: and(
      eq('belongs_to_uuid', nic.belongs_to_uuid),
      eq('primary_flag', true),
      not(eq('mac', nic.mac)),
    ),
    fields: { primary_flag: false },
  };
  return [others, put];
}

function networkPut(
  stored: StoredObject<NetworkRecord>,
  value: NetworkRecord,
): BatchRequest {
  return {
    bucket: NETWORK_BUCKET,
    key: stored.key,
    value,
    options: { etag: stored._etag },
  };
}

function isGatewayOf(nic: NicRecord, network: NetworkRecord): boolean {
  return network.fabric === true && nic.ipaddr === network.gateway;
}

/** A NIC with its network as it is once the NIC is there. */
export function nicAt(
  nic: NicRecord,
  network: StoredObject<NetworkRecord> | null,
): NicAt {
  if (!network || !isGatewayOf(nic, network.value)) return { nic, network };
  const value = provisioned(network.value, true, false);
  return { nic, network: { ...network, value } };
}

/**
 * The networks' own records. The one that a NIC is on is put again even when
 * nothing in it changes, so that a network cannot go while a NIC comes.
 */
function networkWrites(
  before: NicAt | null,
  after: NicAt | null,
): BatchRequest[] {
  const requests: BatchRequest[] = [];
  const was = before?.network ?? null;
  const is = after?.network ?? null;
  const left = before && was && isGatewayOf(before.nic, was.value);
  const stays =
    after && is?.key === was?.key && is && isGatewayOf(after.nic, is.value);
  if (is && after) {
    const gained = isGatewayOf(after.nic, is.value);
    const lost = left && is.key === was?.key && !gained;
    requests.push(networkPut(is, provisioned(is.value, gained, !!lost)));
  }
  if (left && !stays && was && is?.key !== was.key) {
    requests.push(networkPut(was, provisioned(was.value, false, true)));
  }
  return requests;
}

/** Under NAT Reform the gateway is the zone's and stays provisioned. */
function provisioned(
  network: NetworkRecord,
  gained: boolean,
  lost: boolean,
): NetworkRecord {
  if (gained) return { ...network, gateway_provisioned: true };
  if (!lost || network.nat_reform_public) return network;
  return { ...network, gateway_provisioned: false };
}

/** SVP's rows. A default router under NAT Reform is not a NIC's to change. */
async function svpChanges(
  ctx: NapiContext,
  before: NicAt | null,
  after: NicAt | null,
): Promise<Changes> {
  const network = (after?.network ?? before?.network)?.value;
  if (network === undefined) return noChanges();
  const overlay = await overlayChanges(ctx, {
    before: before && !isZonesRouter(before) ? before.nic : null,
    after: after && !isZonesRouter(after) ? after.nic : null,
    network,
    before_network: before?.network?.value,
  });
  const tag = ctx.config.overlay.underlay_nic_tag;
  const carrier = (at: NicAt | null) =>
    at?.network?.value.nic_tag === tag ? at.nic : null;
  const underlay = await underlayChanges(ctx, {
    before: carrier(before),
    after: carrier(after),
  });
  return merge(overlay, underlay);
}

function isZonesRouter({ nic, network }: NicAt): boolean {
  const value = network?.value;
  if (!value?.nat_reform_public) return false;
  return isGatewayOf(nic, value);
}

/** Whether an AIP that points at the NIC would now point at someone else. */
function givesUpAddress(before: NicRecord, after: NicRecord | null): boolean {
  if (before.ipaddr === undefined) return false;
  return (
    after === null ||
    after.ipaddr !== before.ipaddr ||
    after.network_uuid !== before.network_uuid ||
    after.belongs_to_uuid !== before.belongs_to_uuid ||
    after.owner_uuid !== before.owner_uuid
  );
}

/** All that follows from a NIC, but for its own record and address. */
export async function consequences(
  ctx: NapiContext,
  before: NicAt | null,
  after: NicAt | null,
): Promise<Changes> {
  const detached =
    before && givesUpAddress(before.nic, after?.nic ?? null)
      ? await detachForNic(ctx, before.nic)
      : noChanges();
  return merge(
    { requests: networkWrites(before, after), events: [] },
    await svpChanges(ctx, before, after),
    detached,
  );
}

/** The event of a NIC that was made or changed. */
export function nicEvent(at: NicAt, subResources: string[]): JournalEvent {
  const { nic, network } = at;
  return {
    resource: 'nic',
    subResources,
    id: formatMac(toMac(nic.mac)),
    object: serializeNic(nic, network?.value ?? null),
    extra: { ...whose(nic), etag: etagOfRecord(nic) },
  };
}

/** The event of a NIC that is gone. */
export function nicGone(nic: NicRecord): JournalEvent {
  return {
    resource: 'nic',
    subResources: ['delete'],
    id: formatMac(toMac(nic.mac)),
    object: null,
    extra: whose(nic),
  };
}

function whose(nic: NicRecord): Record<string, unknown> {
  return {
    belongs_to_uuid: nic.belongs_to_uuid,
    ...(nic.cn_uuid && { cn_uuid: nic.cn_uuid }),
  };
}
