// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What several processes on one store would do to each other: here each has
 * its own turns, so that only the store's conditions stand between them.
 */

import type { Test } from 'tape';
import test from 'tape';
import { systemClock } from '#lib/clock.js';
import { parseIpPrefix } from '#lib/net/ip.js';
import { mac } from '#lib/net/mac.js';
import { silentLogger } from '#lib/service/log.js';
import { openLevelStore } from '#lib/store/open.js';
import { type Store, StoreError } from '#lib/store/types.js';
import { uuidOf } from '#test/nat-world.js';
import { prepareBuckets } from '../../../services/napi-nat/buckets.js';
import { commit, MAX_RETRIES } from '../../../services/napi-nat/commit.js';
import type { NapiConfig } from '../../../services/napi-nat/config.js';
import type { NapiContext } from '../../../services/napi-nat/context.js';
import { createVlan } from '../../../services/napi-nat/fabric/vlans.js';
import { createClaims } from '../../../services/napi-nat/ip/claims.js';
import { createSerial } from '../../../services/napi-nat/nat-reform/serial.js';
import { createNetwork } from '../../../services/napi-nat/network/create.js';
import { createNic } from '../../../services/napi-nat/nic/create.js';
import { createNicTag } from '../../../services/napi-nat/nic-tag/tags.js';
import { createTurns } from '../../../services/napi-nat/turns.js';

const OWNER = uuidOf(1, 1);

async function openStore(t: Test): Promise<Store> {
  const store = await openLevelStore('', {
    clock: systemClock(),
    memory: true,
  });
  t.teardown(() => store.close());
  await prepareBuckets(store);
  return store;
}

/** One process' context: turns and placing of its own. */
function process(store: Store, n: number, random?: () => number): NapiContext {
  let count = 0;
  return {
    store,
    clock: systemClock(),
    log: silentLogger(),
    config: {
      admin_uuid: uuidOf(0, 1),
      mac_oui: '90b8d0',
      overlay: { overlay_nic_tag: 'overlay', underlay_nic_tag: 'underlay' },
      nat_reform: { default: false, probe: { vnet: 16_777_215 } },
    } as NapiConfig,
    random: random ?? Math.random,
    uuid: () => uuidOf(10 + n, count++),
    placing: createSerial(),
    turns: createTurns(),
    claims: createClaims(),
  };
}

async function addNetwork(ctx: NapiContext, subnet: string, last: number) {
  const prefix = subnet.replace(/\.0\/24$/, '');
  return createNetwork(ctx, {
    // A name of its own: only the subnets are to collide.
    name: ctx.uuid(),
    nic_tag: 'overlay',
    vlan_id: 2,
    subnet: parseIpPrefix(subnet) as never,
    provision_start_ip: `${prefix}.1`,
    provision_end_ip: `${prefix}.${last}`,
    fabric: true,
    vnet_id: 9,
    owner_uuids: [OWNER],
  });
}

function nicFor(n: number, network: string) {
  return {
    belongs_to_uuid: uuidOf(2, n),
    belongs_to_type: 'zone' as const,
    owner_uuid: OWNER,
    cn_uuid: uuidOf(9, 1),
    network_uuid: network,
  };
}

test('processes on one store never give one address twice', async (t) => {
  const store = await openStore(t);
  const all = [1, 2, 3, 4].map((n) => process(store, n));
  const [first] = all as [NapiContext];
  await createNicTag(first, { name: 'overlay' });
  const { uuid } = await addNetwork(first, '10.1.1.0/24', 60);
  const wanted = all.flatMap((ctx, p) =>
    Array.from({ length: 20 }, (_, n) =>
      createNic(ctx, nicFor(p * 100 + n, uuid)).catch((error) => error),
    ),
  );
  const made = await Promise.all(wanted);
  const ips = made.flatMap((each) => each.nic?.ipaddr ?? []);
  t.equal(ips.length, 60, 'as many as there are addresses');
  t.equal(new Set(ips).size, 60, 'each once');
  const full = made.filter((each) => each.body?.code === 'SubnetFull');
  t.equal(full.length, 20, 'the others hear that it is full');
});

test('processes on one store never overlap in a vnet', async (t) => {
  const store = await openStore(t);
  const all = [1, 2, 3, 4, 5, 6].map((n) => process(store, n));
  await createNicTag(all[0] as NapiContext, { name: 'overlay' });
  // The first of a vnet makes its row; the race is about those after it.
  await addNetwork(all[0] as NapiContext, '10.9.9.0/24', 60);
  const made = await Promise.allSettled(
    all.map((ctx) => addNetwork(ctx, '10.1.1.0/24', 60)),
  );
  t.equal(made.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('a vnet id that collides is chosen again', async (t) => {
  const store = await openStore(t);
  // Both draw 0.5 first.
  const draws = [0.5, 0.5, 0.25];
  const ctx = process(store, 1, () => draws.shift() ?? 0.125);
  const one = await createVlan(ctx, uuidOf(1, 1), 2, {});
  const two = await createVlan(ctx, uuidOf(1, 2), 2, {});
  t.notEqual(one.vnet_id, two.vnet_id);
  t.equal(two.vnet_id, Math.floor(0.25 * 16_777_215));
});

test('a MAC that collides is counted up from', async (t) => {
  const store = await openStore(t);
  const ctx = process(store, 1, () => 0);
  const { network_uuid: _none, ...nic } = nicFor(1, '');
  const macs: number[] = [];
  for (let n = 0; n < 3; n++) macs.push((await createNic(ctx, nic)).nic.mac);
  const base = mac(0x90b8d0000000);
  t.deepEqual(macs, [base, base + 1, base + 2]);
});

test('a commit gives up after its retries and says why', async (t) => {
  let tries = 0;
  const store = {
    batch: async () => {
      tries += 1;
      throw new StoreError('EtagConflictError', 'lost again', { key: 'k' });
    },
  } as unknown as Store;
  const request = { bucket: 'b', key: 'k', value: {} };
  const build = async () => ({
    changes: { requests: [request], events: [] },
    result: 1,
  });
  try {
    await commit({ store }, build);
    t.fail('it must not succeed');
  } catch (error) {
    t.equal((error as Error).message, 'lost again');
  }
  t.equal(tries, MAX_RETRIES + 1);
});

test('what build throws, and what is no race, ends at once', async (t) => {
  let tries = 0;
  const store = {
    batch: async () => {
      tries += 1;
      throw new StoreError('BucketNotFoundError', 'no bucket');
    },
  } as unknown as Store;
  const request = { bucket: 'b', key: 'k', value: {} };
  const build = async () => ({
    changes: { requests: [request], events: [] },
    result: 1,
  });
  await commit({ store }, build).catch(() => {});
  t.equal(tries, 1);
});
