// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Taking over from a NAPI: everything that it shows over HTTP becomes records
 * of an empty store (facts: triton-napi 2 to 6). What portolan has is made
 * anew from the NICs, as NAPI makes it (facts: triton-napi 5.7).
 *
 * Networks and pools are read by prefixes of their UUIDs and not by offset:
 * NAPI lists fabric networks in no order.
 */

import type { HttpClient } from '#lib/http/client.js';
import { formatIp, parseIpPrefix } from '#lib/net/ip.js';
import { formatMapped } from '#lib/net/ipv4.js';
import { parseMac } from '#lib/net/mac.js';
import type { BatchRequest, Store } from '#lib/store/types.js';
import {
  AGGREGATION_BUCKET,
  type AggregationRecord,
} from '../aggregation/record.js';
import { prepareBuckets } from '../buckets.js';
import {
  FABRIC_BUCKET,
  VLAN_BUCKET,
  type VlanRecord,
  vlanKey,
} from '../fabric/record.js';
import { ipBucket, ipBucketConfig } from '../ip/record.js';
import {
  NETWORK_BUCKET,
  type NetworkRecord,
  nameKey,
} from '../network/record.js';
import { POOL_BUCKET } from '../network-pool/record.js';
import {
  NIC_BUCKET,
  NIC_FLAGS,
  type NicRecord,
  nicKey,
} from '../nic/record.js';
import { NIC_TAG_BUCKET } from '../nic-tag/record.js';
import { putMapping } from '../ul3/mapping.js';
import { UNDERLAY_BUCKET, type UnderlayRow } from '../ul3/records.js';
import { nicMapping, underlayOf } from '../ul3/rows.js';
import { joined } from '../ul3/shootdown.js';

/** How many there were of each. */
export type Imported = Record<
  'nic tags' | 'networks' | 'VLANs' | 'addresses' | 'NICs' | 'pools' | 'aggrs',
  number
>;

type Shown = Record<string, unknown>;
/** What `/networks` shows, as far as it is a field of the record too. */
type ShownNetwork = Omit<NetworkRecord, 'name_str' | 'subnet_start' | 'v'>;
type ShownNic = Shown & { mac: string; ip?: string; nic_tag?: string };

/** The most that NAPI lists at once, which is what it lists unasked. */
const PAGE = 1000;
const BATCH = 500;
const HEX = [...'0123456789abcdef'];

async function all<T>(napi: HttpClient, path: string): Promise<T[]> {
  const found: T[] = [];
  for (;;) {
    const query = found.length === 0 ? {} : { offset: found.length };
    const { body } = await napi.get<T[]>(path, { query });
    found.push(...body);
    if (body.length < PAGE) return found;
  }
}

async function byUuid<T>(
  napi: HttpClient,
  path: string,
  prefix = '',
): Promise<T[]> {
  const found: T[] = [];
  for (const digit of HEX) {
    const next = `${prefix}${digit}`;
    const query = { uuid: `${next}*` };
    const { body } = await napi.get<T[]>(path, { query });
    const whole = body.length < PAGE;
    found.push(...(whole ? body : await byUuid<T>(napi, path, next)));
  }
  return found;
}

async function write(store: Store, requests: BatchRequest[]): Promise<void> {
  for (let i = 0; i < requests.length; i += BATCH) {
    await store.batch(requests.slice(i, i + BATCH));
  }
}

function put(bucket: string, key: string, value: object): BatchRequest {
  return { bucket, key, value };
}

/** A copy of what is there of these fields. */
function only<T extends object, K extends keyof T>(
  from: T,
  fields: readonly K[],
): Pick<T, K> {
  return Object.fromEntries(
    fields.filter((name) => name in from).map((name) => [name, from[name]]),
  ) as Pick<T, K>;
}

function networkRecord(shown: ShownNetwork): NetworkRecord {
  const { fabric, gateway, name, owner_uuids: owners, subnet } = shown;
  const base = parseIpPrefix(subnet)?.base;
  if (base === undefined) throw new Error(`network ${shown.uuid}: ${subnet}`);
  if (shown.nat_reform_public !== undefined) {
    throw new Error(
      `network ${shown.uuid} is on NAT Reform: copy that store instead`,
    );
  }
  return {
    ...only(shown, [
      ...(['uuid', 'family', 'mtu', 'nic_tag', 'vlan_id'] as const),
      ...(['provision_start_ip', 'provision_end_ip', 'resolvers'] as const),
      ...(['routes', 'description', 'vnet_id', 'fabric'] as const),
    ]),
    name,
    name_str: nameKey(name, fabric ? owners?.[0] : undefined),
    subnet,
    subnet_start: formatIp(base),
    internet_nat: shown.internet_nat ?? true,
    ...(gateway && {
      gateway,
      gateway_provisioned: shown.gateway_provisioned ?? false,
    }),
    ...(owners?.length && { owner_uuids: owners }),
    v: 4,
  };
}

function macOf(text: string): number {
  const mac = parseMac(text);
  if (mac === null) throw new Error(`"${text}" is no MAC address`);
  return mac;
}

function nicRecord(shown: ShownNic, network?: NetworkRecord): NicRecord {
  const tag = network?.fabric ? network.nic_tag : shown.nic_tag;
  return {
    ...only(shown as unknown as NicRecord, [
      ...(['belongs_to_type', 'belongs_to_uuid', 'owner_uuid'] as const),
      ...(['state', 'nic_tags_provided', 'cn_uuid', 'model'] as const),
      ...NIC_FLAGS,
    ]),
    mac: macOf(shown.mac),
    primary_flag: shown['primary'] === true,
    created_timestamp: Date.parse(String(shown['created_timestamp'])),
    modified_timestamp: Date.parse(String(shown['modified_timestamp'])),
    ...(network &&
      shown.ip && { ipaddr: shown.ip, network_uuid: network.uuid }),
    ...(tag && { nic_tag: tag }),
    v: 3,
  };
}

/** The rows that SVP answers from. */
function ul3Rows(nic: NicRecord, network?: NetworkRecord): BatchRequest[] {
  const mapping = network === undefined ? null : nicMapping(nic, network);
  const underlay = underlayOf(nic);
  const requests = mapping === null ? [] : putMapping(mapping);
  if (mapping !== null) requests.push(joined(mapping.vnet, mapping.cn));
  if (underlay !== null) {
    const { uuid, at } = underlay;
    const ip = formatMapped(at.ip);
    const row: UnderlayRow = { cn_uuid: uuid, ip, port: at.port };
    requests.push(put(UNDERLAY_BUCKET, uuid, row));
  }
  return requests;
}

async function importVlans(
  napi: HttpClient,
  to: Store,
  networks: readonly NetworkRecord[],
): Promise<number> {
  const fabrics = networks.filter(({ fabric }) => fabric);
  const owners = new Set(fabrics.map((network) => network.owner_uuids?.[0]));
  let count = 0;
  for (const owner of owners) {
    const vlans = await all<VlanRecord>(napi, `/fabrics/${owner}/vlans`);
    const [first] = vlans;
    if (owner === undefined || first === undefined) continue;
    const { vnet_id } = first;
    await write(to, [
      put(FABRIC_BUCKET, owner, { owner_uuid: owner, vnet_id }),
      ...vlans.map((vlan) =>
        put(VLAN_BUCKET, vlanKey(owner, vlan.vlan_id), { ...vlan, v: 0 }),
      ),
    ]);
    count += vlans.length;
  }
  return count;
}

async function importAddresses(
  napi: HttpClient,
  to: Store,
  network: string,
): Promise<number> {
  const bucket = ipBucket(network);
  await to.createBucket(bucket, ipBucketConfig);
  const shown = await all<Shown & { ip: string }>(
    napi,
    `/networks/${network}/ips`,
  );
  await write(
    to,
    shown.map(({ ip, network_uuid: _, free: _free, ...rest }) =>
      put(bucket, ip, { ...rest, ipaddr: ip, v: 2 }),
    ),
  );
  return shown.length;
}

async function importNics(
  napi: HttpClient,
  to: Store,
  networks: readonly NetworkRecord[],
): Promise<number> {
  const known = new Map(networks.map((network) => [network.uuid, network]));
  const shown = await all<ShownNic>(napi, '/nics');
  await write(
    to,
    shown.flatMap((each) => {
      const network = known.get(String(each['network_uuid']));
      const nic = nicRecord(each, network);
      return [put(NIC_BUCKET, nicKey(nic.mac), nic), ...ul3Rows(nic, network)];
    }),
  );
  return shown.length;
}

/**
 * Fills a store from a NAPI that nobody changes meanwhile. Until all is there
 * the store is marked as unfinished and opens for nothing but another attempt.
 * @param to prepared and empty
 * @throws Error when `to` has anything in it, or NAPI fails
 */
export async function importNapi(
  napi: HttpClient,
  to: Store,
): Promise<Imported> {
  if ((await to.listBuckets()).length > 0) {
    throw new Error('the store to write to is not empty');
  }
  await to.restore({ unfinished: true });
  await prepareBuckets(to);
  const tags = await all<{ name: string }>(napi, '/nic_tags');
  const shown = await byUuid<ShownNetwork>(napi, '/networks');
  const networks = shown.map(networkRecord);
  const pools = await byUuid<Shown>(napi, '/network_pools');
  const aggrs = await all<Shown & { macs: string[] }>(napi, '/aggregations');
  await write(to, [
    ...tags.map((tag) => put(NIC_TAG_BUCKET, tag.name, { ...tag, v: 1 })),
    ...networks.map((each) => put(NETWORK_BUCKET, each.uuid, each)),
    ...pools.map(({ nic_tag: _, nic_tags_present: _tags, ...pool }) =>
      put(POOL_BUCKET, String(pool['uuid']), { ...pool, v: 1 }),
    ),
    ...aggrs.map((aggr) => {
      const record = { ...aggr, macs: aggr.macs.map(macOf) };
      const { id } = record as unknown as AggregationRecord;
      return put(AGGREGATION_BUCKET, id, record);
    }),
  ]);
  const vlans = await importVlans(napi, to, networks);
  let addresses = 0;
  for (const { uuid } of networks) {
    addresses += await importAddresses(napi, to, uuid);
  }
  const nics = await importNics(napi, to, networks);
  await to.restore({ unfinished: false });
  return {
    'nic tags': tags.length,
    networks: networks.length,
    VLANs: vlans,
    addresses,
    NICs: nics,
    pools: pools.length,
    aggrs: aggrs.length,
  };
}
