// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * NAT Reform on a real store without HTTP: a public network 3.0.0.0/16, zones
 * and fabric networks that are put there directly.
 */

import { randomUUID } from 'node:crypto';
import type { Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import { openLevelStore } from '#lib/store/open.js';
import type { Store } from '#lib/store/types.js';
import { prepareBuckets } from '../../services/napi-nat/buckets.js';

import { commit, merge } from '../../services/napi-nat/commit.js';
import type { NapiConfig } from '../../services/napi-nat/config.js';
import type { NapiContext } from '../../services/napi-nat/context.js';
import { restoreZone } from '../../services/napi-nat/failover.js';
import { createClaims } from '../../services/napi-nat/ip/claims.js';
import { ipBucket, ipBucketConfig } from '../../services/napi-nat/ip/record.js';
import { assignFabric } from '../../services/napi-nat/nat-reform/hooks.js';
import { createSerial } from '../../services/napi-nat/nat-reform/serial.js';
import {
  NETWORK_BUCKET,
  type NetworkRecord,
} from '../../services/napi-nat/network/record.js';
import {
  NIC_BUCKET,
  type NicRecord,
} from '../../services/napi-nat/nic/record.js';
import { createTurns } from '../../services/napi-nat/turns.js';
import { registerZone } from '../../services/napi-nat/zone/register.js';
import { temporaryDirectory } from './tmp.js';

const PUBLIC = '00000000-0000-4000-8000-0000000000b0';
const ADMIN = '00000000-0000-4000-8000-0000000000ad';

function network(fields: Partial<NetworkRecord>): NetworkRecord {
  const uuid = fields.uuid ?? randomUUID();
  return {
    uuid,
    name: uuid,
    name_str: `x:${uuid}`,
    family: 'ipv4',
    mtu: 1500,
    nic_tag: 'external',
    vlan_id: 2,
    subnet: '10.4.4.0/24',
    subnet_start: '10.4.4.0',
    provision_start_ip: '10.4.4.2',
    provision_end_ip: '10.4.4.250',
    resolvers: [],
    internet_nat: true,
    v: 4,
    ...fields,
  };
}

/** A context on an empty store; `end` is the pool's last address. */
export async function natStore(t: Test, end?: string): Promise<NapiContext> {
  const clock = systemClock();
  const store = await openLevelStore(temporaryDirectory(t), { clock });
  t.teardown(() => store.close());
  return natContext(store, end);
}

/** The same on a store that is open and empty. */
export async function natContext(
  store: Store,
  end = '3.0.255.250',
): Promise<NapiContext> {
  await prepareBuckets(store);
  const ctx: NapiContext = {
    store,
    clock: systemClock(),
    log: silentLogger(),
    config: {
      admin_uuid: ADMIN,
      nat_reform: {
        policy: { sharing: 'per-owner', placement: 'spread' },
        public_network: PUBLIC,
      },
    } as NapiConfig,
    random: Math.random,
    uuid: randomUUID,
    placing: createSerial(),
    turns: createTurns(),
    claims: createClaims(),
  };
  await store.createBucket(ipBucket(PUBLIC), ipBucketConfig);
  const pool = network({
    uuid: PUBLIC,
    subnet: '3.0.0.0/16',
    subnet_start: '3.0.0.0',
    provision_start_ip: '3.0.0.2',
    provision_end_ip: end,
  });
  await store.putObject(NETWORK_BUCKET, PUBLIC, pool);
  const reserved = (ipaddr: string) => ({ ipaddr, reserved: true, v: 2 });
  const after = end.replace(/\d+$/, (last) => String(Number(last) + 1));
  for (const ip of ['3.0.0.1', after]) {
    await store.putObject(ipBucket(PUBLIC), ip, reserved(ip));
  }
  return ctx;
}

/** A zone that serves, with UL3 192.168.12.n. */
export async function putZone(ctx: NapiContext, n: number): Promise<string> {
  const uuid = randomUUID();
  await registerZone(ctx, {
    uuid,
    ul3_ip: `192.168.12.${n}`,
    ul3_port: 4789,
    external_ip: `9.9.9.${n}`,
    standby: false,
    weight: 1,
  });
  await restoreZone(ctx, uuid);
  return uuid;
}

/** A fabric network 10.4.4.0/24 on NAT Reform. */
export async function putFabric(
  ctx: NapiContext,
  vnet: number,
  owner: string,
): Promise<NetworkRecord> {
  const before = network({
    fabric: true,
    vnet_id: vnet,
    owner_uuids: [owner],
    gateway: '10.4.4.1',
  });
  return ctx.placing.run(() =>
    commit(ctx, async () => {
      const assigned = await assignFabric(ctx, before);
      const { nat_reform_public, router_mac, changes } = assigned;
      const record = { ...before, nat_reform_public, router_mac };
      const row = { bucket: NETWORK_BUCKET, key: record.uuid, value: record };
      const own = { requests: [row], events: [] };
      return { changes: merge(changes, own), result: record };
    }),
  );
}

/** A NIC of an instance on a fabric network. */
export async function putNic(
  ctx: NapiContext,
  network: NetworkRecord,
  nic: { mac: number; ip: string; instance: string; primary?: boolean },
): Promise<NicRecord> {
  const record: NicRecord = {
    mac: nic.mac,
    belongs_to_type: 'zone',
    belongs_to_uuid: nic.instance,
    owner_uuid: network.owner_uuids?.[0] as string,
    primary_flag: nic.primary ?? false,
    state: 'running',
    created_timestamp: 0,
    modified_timestamp: 0,
    ipaddr: nic.ip,
    network_uuid: network.uuid,
    cn_uuid: ADMIN,
    v: 3,
  };
  await ctx.store.putObject(NIC_BUCKET, String(nic.mac), record);
  return record;
}
