// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: two napi-nat that change placement at one time each keep
 * their own turns, and only the store stands between them: loads that do not
 * add up, a public IP with two owners, a router that leads elsewhere than its
 * public IP, a NIC on a network that the other one has just deleted.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import type { Store } from '#lib/store/types.js';
import { napiConfig } from '#test/napi-config.js';
import { freshAddress } from '#test/postgres.js';
import { type ServiceProcess, startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';
import {
  loadOf,
  readLedger,
} from '../../services/napi-nat/nat-reform/ledger.js';
import { readZones } from '../../services/napi-nat/nat-reform/state.js';
import { NETWORK_BUCKET } from '../../services/napi-nat/network/record.js';
import {
  NIC_BUCKET,
  type NicRecord,
} from '../../services/napi-nat/nic/record.js';
import { openStore } from '../../services/napi-nat/store/open.js';

type Pair = [ServiceProcess, ServiceProcess];

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the call answers
  body: any;
}

const uuidOf = (kind: number, n: number) =>
  `0000000${kind}-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** A machine that is too busy for the store is asked again. */
async function call(
  at: ServiceProcess,
  method: string,
  path: string,
  body?: object,
): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(`${at.url}${path}`, {
      method,
      ...(body && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    const text = await response.text();
    const { status } = response;
    if (status === 503 && tries < 20) {
      await new Promise((resolve) => setTimeout(resolve, tries * 20));
      continue;
    }
    return { status, body: text === '' ? null : JSON.parse(text) };
  }
}

async function must(...args: Parameters<typeof call>): Promise<Answer['body']> {
  const { status, body } = await call(...args);
  if (status < 300) return body;
  throw new Error(`${args[1]} ${args[2]}: ${status} ${JSON.stringify(body)}`);
}

async function pair(t: Test): Promise<{ both: Pair; store: Store }> {
  const directory = temporaryDirectory(t);
  const postgres = await freshAddress();
  const both = await Promise.all(
    ['0', '1'].map((name) => {
      const own = join(directory, name);
      mkdirSync(own);
      const base = napiConfig(own, '3.3.3.200') as { nat_reform: object };
      // However busy the machine: no zone is lost here.
      const heartbeat = { interval_ms: 200, misses: 100 };
      const nat_reform = { ...base.nat_reform, heartbeat };
      const config = { ...base, nat_reform, store: { postgres } };
      return startService(t, 'napi-nat', config, own);
    }),
  );
  const deps = { clock: systemClock(), log: silentLogger() };
  const store = await openStore({ postgres }, deps);
  t.teardown(() => store.close());
  return { both: both as Pair, store };
}

/** Beats for zones, which have all rules at once, until the test ends. */
function beats(t: Test, both: Pair): Set<string> {
  const zones = new Set<string>();
  let progress = 0;
  let timer: NodeJS.Timeout | null = null;
  let ended = false;
  const beat = async () => {
    progress += 1;
    const at = both[progress % 2] as ServiceProcess;
    const { position, digest } = await must(at, 'GET', '/dataplane');
    for (const uuid of zones) {
      const path = `/nat_zones/${uuid}/heartbeat`;
      await call(at, 'POST', path, { progress, position, digest });
    }
  };
  // The next one after the last: what piles up makes a busy store busier.
  const next = () => {
    if (!ended)
      timer = setTimeout(
        () =>
          beat()
            .catch(() => {})
            .then(next),
        200,
      );
  };
  next();
  t.teardown(() => {
    ended = true;
    if (timer !== null) clearTimeout(timer);
  });
  return zones;
}

/** Registers a zone; resolves when it is up. */
async function zone(both: Pair, zones: Set<string>, n: number) {
  const uuid = uuidOf(7, n);
  await must(both[n % 2] as ServiceProcess, 'POST', '/nat_zones', {
    uuid,
    ul3_ip: `127.0.41.${n}`,
    external_ip: `3.3.3.${200 + n}`,
  });
  zones.add(uuid);
  for (;;) {
    const seen = await must(both[0], 'GET', `/nat_zones/${uuid}`);
    if (seen.state === 'up') return uuid;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A fabric network of an owner; `at` makes it. */
async function fabric(at: ServiceProcess, owner: number, net: number) {
  const base = `/fabrics/${uuidOf(1, owner)}/vlans`;
  if (net === 0) await must(at, 'POST', base, { vlan_id: 2, name: 'v' });
  return must(at, 'POST', `${base}/2/networks`, {
    name: `net${net}`,
    subnet: `10.4.${net}.0/24`,
    provision_start_ip: `10.4.${net}.2`,
    provision_end_ip: `10.4.${net}.250`,
    gateway: `10.4.${net}.1`,
  });
}

/** What is wrong with the books, in words. */
async function faultsIn(at: ServiceProcess, store: Store): Promise<string[]> {
  const faults: string[] = [];
  const { fabrics, publics, zones } = await must(at, 'GET', '/dataplane');
  const ul3s = new Map<string, string>();
  for (const each of zones) ul3s.set(each.uuid, each.ul3_ip);
  const zoneOf = new Map<string, string>();
  for (const each of publics) zoneOf.set(each.ip, each.zone_uuid);
  const owner = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const each of fabrics) {
    const { nat_reform_public: ip, owner_uuid, vnet_id, gateway } = each;
    const zone = zoneOf.get(ip) ?? '';
    counts.set(zone, (counts.get(zone) ?? 0) + 1);
    if ((owner.get(ip) ?? owner_uuid) !== owner_uuid) {
      faults.push(`${ip} has two owners`);
    }
    owner.set(ip, owner_uuid);
    const query = `/ul3_mappings?vnet_id=${vnet_id}&ip=${gateway}`;
    const [router] = await must(at, 'GET', query);
    if (router?.ul3_ip !== ul3s.get(zone)) {
      faults.push(`${ip} is on ${zone}, a router at ${router?.ul3_ip}`);
    }
  }
  const ledger = await readLedger(store);
  for (const { value } of await readZones({ store })) {
    const { fabrics: load } = loadOf(ledger, value.uuid);
    if (load !== (counts.get(value.uuid) ?? 0)) {
      faults.push(`${value.uuid} is booked ${load} fabrics`);
    }
  }
  return faults;
}

test('two napi-nat change placement at one time: the books agree', async (t) => {
  const { both, store } = await pair(t);
  const [one, other] = both;
  const beating = beats(t, both);
  const [first, second] = await Promise.all(
    [1, 2, 3].map((n) => zone(both, beating, n)),
  );
  const owners = Array.from({ length: 12 }, (_, n) => n + 1);
  const nets = await Promise.all(
    owners.map((n) => fabric(n % 2 === 0 ? one : other, n, 0)),
  );
  // All at one time: networks come and go, a zone is emptied, one is deleted
  // by the other process, and one comes.
  await Promise.all([
    ...owners.map((n) => fabric(n % 2 === 0 ? other : one, n, 1)),
    ...nets
      .slice(0, 4)
      .map(({ uuid, vlan_id, owner_uuid }, n) =>
        must(
          n % 2 === 0 ? other : one,
          'DELETE',
          `/fabrics/${owner_uuid}/vlans/${vlan_id}/networks/${uuid}`,
        ),
      ),
    must(one, 'PUT', `/nat_zones/${first}`, { action: 'evacuate' }),
    must(other, 'DELETE', `/nat_zones/${second}`),
    zone(both, beating, 4),
  ]);
  t.deepEqual(await faultsIn(one, store), []);
  const { fabrics } = await must(other, 'GET', '/dataplane');
  t.equal(fabrics.length, 20, 'every network is there');
  const zones = await must(other, 'GET', '/nat_zones');
  t.deepEqual(
    zones.map((each: { uuid: string }) => each.uuid).sort(),
    [1, 3, 4].map((n) => uuidOf(7, n)),
  );
});

test('two napi-nat register zones on one compute node: one is', async (t) => {
  const { both } = await pair(t);
  const answers = await Promise.all(
    both.map((at, n) =>
      call(at, 'POST', '/nat_zones', {
        ul3_ip: `127.0.41.${n + 1}`,
        external_ip: `3.3.3.${201 + n}`,
        server_uuid: uuidOf(9, 1),
      }),
    ),
  );
  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 422]);
  const refused = answers.find(({ status }) => status === 422);
  t.equal(refused?.body.errors[0].field, 'server_uuid');
});

test('a network goes while the other napi-nat makes NICs on it', async (t) => {
  const { both, store } = await pair(t);
  const [one, other] = both;
  await zone(both, beats(t, both), 1);
  const outcomes = { gone: 0, kept: 0 };
  for (let round = 0; round < 12; round += 1) {
    const net = await fabric(one, round + 1, 0);
    const path = `/fabrics/${net.owner_uuid}/vlans/2/networks/${net.uuid}`;
    const [removed, ...made] = await Promise.all([
      call(one, 'DELETE', path),
      ...[1, 2].map((n) =>
        call(other, 'POST', '/nics', {
          owner_uuid: net.owner_uuid,
          belongs_to_uuid: uuidOf(2, round * 10 + n),
          belongs_to_type: 'zone',
          network_uuid: net.uuid,
          cn_uuid: uuidOf(9, 1),
        }),
      ),
    ]);
    const nics = made.filter(({ status }) => status === 200).length;
    if (removed?.status === 204 && nics > 0) t.fail('a NIC and no network');
    if (removed?.status === 204) outcomes.gone += 1;
    else {
      outcomes.kept += 1;
      t.equal(removed?.body.code, 'InUse');
    }
  }
  t.pass(JSON.stringify(outcomes));
  const { objects } = await store.findObjects<NicRecord>(
    NIC_BUCKET,
    '(network_uuid=*)',
    { noLimit: true },
  );
  for (const { value } of objects) {
    if (value.network_uuid === undefined) continue;
    await store.getObject(NETWORK_BUCKET, value.network_uuid);
  }
  t.pass(`${objects.length} NICs are on networks that exist`);
  t.deepEqual(await faultsIn(other, store), []);
});
