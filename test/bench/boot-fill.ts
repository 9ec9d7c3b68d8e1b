// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A store with many fabrics and assigned AIPs, written in bulk: what the data
 * plane's snapshot reads, in the shapes that the service writes.
 */

import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { etagOf } from '#lib/store/etag.js';
import type { Store, StoredObject } from '#lib/store/types.js';
import { PUBLIC_NETWORK } from '#test/napi-config.js';
import {
  AIP_BUCKET,
  type AipRecord,
  targetOf,
} from '../../services/napi-nat/aip/record.js';
import {
  NETWORK_BUCKET,
  type NetworkRecord,
} from '../../services/napi-nat/network/record.js';
import {
  PUBLIC_BUCKET,
  type PublicRecord,
} from '../../services/napi-nat/public/record.js';

/** Fabrics of one owner, which share a public IP. */
const PER_OWNER = 10;
const PAGE = 2000;
/** 100.64.0.0/10 has room for all. */
const BASE = (100 << 24) + (64 << 16) + 1;

const uuid = (kind: number, n: number) =>
  `${String(kind).padStart(8, '0')}-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const addressOf = (n: number) => formatIpv4(ipv4(BASE + n));

function fabric(n: number): NetworkRecord {
  const owner = Math.floor(n / PER_OWNER);
  return {
    uuid: uuid(3, n),
    name: `net${n}`,
    name_str: `${uuid(1, owner)}:net${n}`,
    family: 'ipv4',
    mtu: 1400,
    nic_tag: 'sdc_overlay',
    vlan_id: 2,
    fabric: true,
    vnet_id: owner + 1,
    owner_uuids: [uuid(1, owner)],
    subnet: `10.${n % PER_OWNER}.0.0/16`,
    subnet_start: `10.${n % PER_OWNER}.0.0`,
    provision_start_ip: `10.${n % PER_OWNER}.0.2`,
    provision_end_ip: `10.${n % PER_OWNER}.255.250`,
    gateway: `10.${n % PER_OWNER}.0.1`,
    gateway_provisioned: true,
    resolvers: [],
    internet_nat: true,
    nat_reform_public: addressOf(owner),
    router_mac: `90:b8:d0:00:00:${(n % 250).toString(16).padStart(2, '0')}`,
    v: 4,
  };
}

function snat(owner: number, zone: string): PublicRecord {
  return {
    ip: addressOf(owner),
    kind: 'snat',
    zone_uuid: zone,
    owner_uuid: uuid(1, owner),
    network_uuid: PUBLIC_NETWORK,
    allocation_uuid: uuid(5, owner),
    fabric_owners: [uuid(1, owner)],
    fabrics_by_owner: { [uuid(1, owner)]: PER_OWNER },
    fabrics: PER_OWNER,
    addresses: PER_OWNER * 65_536,
    v: 1,
  };
}

/** The nth AIP, spread over the fabrics, above their public IPs. */
function aip(n: number, fabrics: number): AipRecord {
  const of = n % fabrics;
  const owner = Math.floor(of / PER_OWNER);
  const host = Math.floor(n / fabrics) + 10;
  const private_ip = `10.${of % PER_OWNER}.${host >> 8}.${host & 255}`;
  return {
    uuid: uuid(4, n),
    owner_uuid: uuid(1, owner),
    ip: addressOf(fabrics + n),
    network_uuid: PUBLIC_NETWORK,
    belongs_to_uuid: uuid(2, n),
    belongs_to_type: 'Instance',
    private_ip,
    vnet_id: owner + 1,
    vlan_id: 2,
    fabric_network_uuid: uuid(3, of),
    target: targetOf(owner + 1, private_ip),
    created: 0,
    modified: 0,
    v: 1,
  };
}

function publicOf(one: AipRecord, fabrics: number, zone: string): PublicRecord {
  const owner = one.owner_uuid;
  return {
    ip: one.ip,
    kind: 'aip',
    zone_uuid: zone,
    follows: addressOf(
      Math.floor(
        (Number.parseInt(one.uuid.slice(-12), 16) % fabrics) / PER_OWNER,
      ),
    ),
    owner_uuid: owner,
    network_uuid: PUBLIC_NETWORK,
    allocation_uuid: one.uuid,
    aip_uuid: one.uuid,
    fabric_owners: [],
    fabrics_by_owner: {},
    fabrics: 0,
    addresses: 0,
    v: 1,
  };
}

/** Everything, in the order of its making. */
function* records(
  fabrics: number,
  aips: number,
  zone: string,
): Generator<[string, string, object]> {
  for (let n = 0; n < fabrics; n += 1) {
    if (n % PER_OWNER === 0) {
      const place = snat(n / PER_OWNER, zone);
      yield [PUBLIC_BUCKET, place.ip, place];
    }
    const network = fabric(n);
    yield [NETWORK_BUCKET, network.uuid, network];
  }
  for (let n = 0; n < aips; n += 1) {
    const one = aip(n, fabrics);
    yield [AIP_BUCKET, one.uuid, one];
    yield [PUBLIC_BUCKET, one.ip, publicOf(one, fabrics, zone)];
  }
}

/**
 * Writes them all.
 * @param store whose buckets the service has made
 * @param zone that serves every public IP
 */
export async function fillDataplane(
  store: Store,
  fabrics: number,
  aips: number,
  zone: string,
): Promise<void> {
  let id = 1_000_000;
  let objects: StoredObject[] = [];
  for (const [bucket, key, value] of records(fabrics, aips, zone)) {
    const _etag = etagOf(JSON.stringify(value));
    const copy = value as Record<string, unknown>;
    id += 1;
    objects.push({ bucket, key, value: copy, _id: id, _etag, _mtime: 0 });
    if (objects.length < PAGE) continue;
    await store.restore({ objects });
    objects = [];
  }
  await store.restore({ objects });
}
