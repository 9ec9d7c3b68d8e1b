// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * AIPs on several napi-nat and one PostgreSQL. What would break: one
 * Idempotency-Key makes two AIPs, a quota is overrun between processes, or two
 * processes disagree about a state.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { HttpClient } from '#lib/http/client.js';
import type { Aip } from '#lib/model/aip.js';
import type { Dataplane } from '#lib/model/dataplane.js';
import { napiConfig } from '#test/napi-config.js';
import { uuidOf } from '#test/nat-world.js';
import { freshAddress } from '#test/postgres.js';
import { startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

const OWNER = uuidOf(1, 1);
const OTHER = uuidOf(1, 2);
const INSTANCE = uuidOf(2, 1);
const ZONE = uuidOf(7, 1);

/** Two napi-nat on one store, with a zone and an instance. */
async function cluster(t: Test): Promise<[HttpClient, HttpClient]> {
  const directory = temporaryDirectory(t);
  const postgres = await freshAddress();
  const start = async (name: string) => {
    const own = join(directory, name);
    mkdirSync(own);
    const config = { ...napiConfig(own), store: { postgres } };
    const { url } = await startService(t, 'napi-nat', config, own);
    const client = new HttpClient({ url, timeoutMs: 60_000 });
    t.teardown(() => client.close());
    return client;
  };
  const all = await Promise.all([start('a'), start('b')]);
  const [a] = all;
  await a.post('/nat_zones', {
    body: { uuid: ZONE, ul3_ip: '192.168.12.6', external_ip: '9.9.9.6' },
  });
  const vlans = `/fabrics/${OWNER}/vlans`;
  await a.post(vlans, { body: { vlan_id: 2, name: 'default' } });
  const network = await a.post<{ uuid: string }>(`${vlans}/2/networks`, {
    body: {
      name: 'web',
      subnet: '10.4.4.0/24',
      gateway: '10.4.4.1',
      provision_start_ip: '10.4.4.2',
      provision_end_ip: '10.4.4.250',
      internet_nat: true,
    },
  });
  await a.post(`/networks/${network.body.uuid}/nics`, {
    body: {
      belongs_to_type: 'zone',
      belongs_to_uuid: INSTANCE,
      owner_uuid: OWNER,
      cn_uuid: uuidOf(9, 1),
      primary: true,
    },
  });
  return all;
}

let progress = 0;

/** The zone tells one napi-nat that it has applied everything. */
async function beat(at: HttpClient): Promise<void> {
  const { body: plane } = await at.get<Dataplane>('/dataplane');
  progress += 1;
  const { position, digest } = plane;
  await at.post(`/nat_zones/${ZONE}/heartbeat`, {
    body: { progress, position, digest, announced: [], flows: 0 },
  });
}

test('one key sent to two processes is one AIP', async (t) => {
  const all = await cluster(t);
  const headers = { 'idempotency-key': 'once' };
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      (all[n % 2] as HttpClient).post<Aip>('/aips', {
        body: { owner_uuid: OWNER },
        headers,
      }),
    ),
  );
  t.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
  const { body } = await all[1].get<Aip[]>('/aips');
  t.equal(body.length, 1);
  const audit = await all[1].get<object[]>(`/aips/${body[0]?.uuid}/audit`);
  t.equal(audit.body.length, 1, 'and one entry of the audit');
});

test('a quota holds between processes', async (t) => {
  const all = await cluster(t);
  await all[0].put(`/aip_accounts/${OTHER}`, { body: { quota: 5 } });
  const answers = await Promise.all(
    Array.from({ length: 16 }, (_, n) =>
      (all[n % 2] as HttpClient)
        .post('/aips', { body: { owner_uuid: OTHER } })
        .then(() => 'made')
        .catch((error: { body: { code: string } }) => error.body.code),
    ),
  );
  t.equal(answers.filter((each) => each === 'made').length, 5);
  t.equal(answers.filter((each) => each === 'QuotaExceeded').length, 11);
  const account = await all[1].get<{ used: number }>(`/aip_accounts/${OTHER}`);
  t.equal(account.body.used, 5);
});

test('a state is the same wherever it is asked for', async (t) => {
  const [a, b] = await cluster(t);
  const { body } = await a.post<Aip>('/aips', {
    body: { owner_uuid: OWNER, instance: INSTANCE, tags: { tier: 'web' } },
  });
  t.equal(body.state, 'attaching');
  const now = await b.get<Aip>(`/aips/${body.uuid}`);
  t.equal(now.body.state, 'attaching', 'the other says so at once');
  const query = { wait: 'attached', timeout: 50 };
  const waiting = b.get<Aip>(`/aips/${body.uuid}`, { query });
  const beating = setInterval(() => void beat(a).catch(() => {}), 100);
  t.teardown(() => clearInterval(beating));
  t.equal((await waiting).body.state, 'attached', 'heard by the one only');
  const found = await b.get<Aip[]>('/aips', {
    query: { state: 'attached', 'tag.tier': 'web', attached: true },
  });
  t.equal(found.body.length, 1, 'and found by it');
  await b.post(`/aips/${body.uuid}`, { query: { detach: 'true' } });
  const left = await a.get<Aip>(`/aips/${body.uuid}`, {
    query: { wait: 'detached', timeout: 50 },
  });
  t.equal(left.body.state, 'detached');
  const gone = await a.get<Aip[]>('/aips', { query: { attached: false } });
  t.equal(gone.body.length, 1);
  const audit = await a.get<{ action: string }[]>(`/aips/${body.uuid}/audit`);
  t.deepEqual(
    audit.body.map(({ action }) => action),
    ['detach', 'create'],
  );
});
