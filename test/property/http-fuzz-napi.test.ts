// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Hostile HTTP against napi-nat: every route, every field, the whole store. */

import test, { type Test } from 'tape';
import type { Route } from '#lib/http/types.js';
import { type Call, fuzzHttp } from '#test/http-fuzz/fuzz.js';
import { type OpenWorld, startWorld } from '#test/nat-world.js';
import { freshAddress } from '#test/postgres.js';
import { storeDigest } from '#test/store-digest.js';
import { type Case, cases } from '../scenario/bad-input-cases.js';
import { queries } from '../scenario/bad-input-urls.js';
import {
  type Fixtures,
  fill,
  OWNER,
  ZONE,
} from '../scenario/bad-input-world.js';

/** Nothing happens by itself meanwhile. */
const NEVER_MS = 3_600_000;
const NO_JOB = '00000000-0000-4000-8000-00000000beef';

/** What stands for the names in a path, by its first piece. */
function namesOf(made: Fixtures): Record<string, Record<string, string>> {
  return {
    networks: {
      uuid: made.network,
      network_uuid: made.network,
      ip_addr: '10.4.5.9',
    },
    nics: { mac: made.mac },
    nic_tags: { name: 'external', oldname: 'external' },
    network_pools: { uuid: made.pool },
    aggregations: { id: made.aggregation },
    fabrics: { owner_uuid: OWNER, vlan_id: '2', uuid: made.network },
    aips: { uuid: made.aip },
    aip_accounts: { uuid: OWNER },
    nat_zones: { uuid: ZONE },
    nat_publics: { ip: '3.3.3.2' },
    jobs: { uuid: NO_JOB },
  };
}

/** Fields of what neither makes nor changes an object. */
const OTHERS: Record<string, string[]> = {
  getaip: ['owner_uuid', 'wait', 'timeout'],
  actonaip: ['detach', 'owner_uuid'],
  deleteaip: ['owner_uuid', 'really_delete'],
  listaipaudit: ['owner_uuid'],
  listaips: ['state', 'attached', 'tag.k', 'tag.__proto__'],
  getfabricvlan: ['fields'],
  getfabricnetwork: ['fields'],
  updatenatzone: ['action'],
};

function callsOf(route: Route, made: Fixtures, known: Case[]): Call[] {
  const names = namesOf(made)[route.path.split('/')[1] as string] ?? {};
  const path = route.path.replace(/:(\w+)/g, (_all, name: string) => {
    const value = names[name];
    if (value === undefined) throw new Error(`no ${name} for ${route.path}`);
    return value;
  });
  const asked = new Map(queries({ ...made }));
  return [route.method].flat().map((method) => {
    const found = known.find(
      (each) => each.method === method && each.path === path,
    );
    const read = method === 'GET' ? Object.keys(asked.get(path) ?? {}) : [];
    const fields = [
      ...Object.keys(found?.fields ?? {}),
      ...read,
      ...(OTHERS[route.name] ?? []),
    ];
    return { method, path, body: found?.good ?? {}, fields };
  });
}

/** What takes a body must have been thought of. */
function unknownTo(calls: readonly Call[]): string[] {
  return calls
    .filter(({ method }) => method === 'POST' || method === 'PUT')
    .filter(({ fields, path }) => fields.length === 0 && !/cancel$/.test(path))
    .map(({ method, path }) => `${method} ${path}`);
}

async function fuzz(t: Test, attacks: number, postgres: boolean) {
  const worlds: OpenWorld[] = [];
  await fuzzHttp(t, {
    attacks,
    async start() {
      await worlds.pop()?.stop();
      const world = await startWorld(t, {
        heartbeat_ms: NEVER_MS,
        probe_ms: NEVER_MS,
        ...(postgres && {
          config: { store: { postgres: await freshAddress() } },
        }),
      });
      worlds.push(world);
      const empty = await storeDigest(world.store);
      const made = await fill((method, path, body) =>
        world.must(method, path, body),
      );
      t.notEqual(await storeDigest(world.store), empty, 'the digest sees it');
      const known = cases(made);
      const calls = world.routes.flatMap((each) => callsOf(each, made, known));
      t.deepEqual(unknownTo(calls), [], 'every route that writes is known');
      return {
        port: Number(new URL(world.url).port),
        calls,
        digest: () => storeDigest(world.store),
      };
    },
  });
}

test('no request breaks napi-nat, none that is refused is done', (t) =>
  fuzz(t, 700, false));

test('nor does one on PostgreSQL, which is choosy about text', (t) =>
  fuzz(t, 100, true));
