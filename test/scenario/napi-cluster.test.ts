// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: several napi-nat on one PostgreSQL give an address twice,
 * cannot start at the same time, or lose what was answered when one is killed.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { ADMIN_UUID, napiConfig, PUBLIC_NETWORK } from '#test/napi-config.js';
import { freshAddress } from '#test/postgres.js';
import { type ServiceProcess, startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

interface Answer {
  status: number;
  body: { ip: string; mac: string; code: string };
}

async function cluster(t: Test, count: number): Promise<ServiceProcess[]> {
  const directory = temporaryDirectory(t);
  const postgres = await freshAddress();
  return Promise.all(
    Array.from({ length: count }, (_, i) => {
      const own = join(directory, String(i));
      mkdirSync(own);
      const config = { ...napiConfig(own, '3.3.3.60'), store: { postgres } };
      return startService(t, 'napi-nat', config, own);
    }),
  );
}

async function provision(at: ServiceProcess, n: number): Promise<Answer> {
  const owner = n.toString(16).padStart(12, '0');
  const path = `/networks/${PUBLIC_NETWORK}/nics`;
  const response = await fetch(`${at.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      belongs_to_uuid: `00000002-0000-4000-8000-${owner}`,
      belongs_to_type: 'zone',
      owner_uuid: ADMIN_UUID,
    }),
  });
  return { status: response.status, body: await response.json() } as Answer;
}

async function get<T>(at: ServiceProcess, path: string): Promise<T> {
  return (await (await fetch(`${at.url}${path}`)).json()) as T;
}

test('three napi-nat fill a network: every address once', async (t) => {
  const all = await cluster(t, 3);
  const answers = await Promise.all(
    Array.from({ length: 75 }, (_, n) =>
      provision(all[n % 3] as ServiceProcess, n),
    ),
  );
  const made = answers.filter(({ status }) => status === 200);
  const full = answers.filter(({ status }) => status === 507);
  t.deepEqual([made.length, full.length], [59, 16]);
  t.equal(new Set(made.map(({ body }) => body.ip)).size, 59, 'no IP twice');
  t.equal(new Set(made.map(({ body }) => body.mac)).size, 59, 'no MAC twice');
  for (const one of all) {
    const nics = await get<{ ip: string }[]>(one, '/nics');
    t.equal(nics.length, 59, 'each of them shows all');
  }

  const order = ['3.3.3.31', '3.3.3.7', '3.3.3.50', '3.3.3.12'];
  for (const [i, ip] of order.entries()) {
    const mac = made.find(({ body }) => body.ip === ip)?.body.mac;
    const at = all[i % 3] as ServiceProcess;
    const gone = await fetch(`${at.url}/nics/${mac}`, { method: 'DELETE' });
    t.equal(gone.status, 204, `${ip} is given back`);
    // Order is by milliseconds: two in one would be as old as each other.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const again: string[] = [];
  for (const n of order.keys()) {
    const at = all[(n + 1) % 3] as ServiceProcess;
    again.push((await provision(at, 1000 + n)).body.ip);
  }
  t.deepEqual(again, order, 'oldest first, whoever took it back');
});

test('kill -9 of one under load loses nothing that it answered', async (t) => {
  const all = await cluster(t, 2);
  const [doomed, other] = all as [ServiceProcess, ServiceProcess];
  const made: Answer[] = [];
  const work = async (at: ServiceProcess, first: number) => {
    for (let n = first; n < first + 20; n += 1) {
      const answer = await provision(at, n).catch(() => null);
      if (answer === null) return;
      made.push(answer);
      if (at === doomed && n === first + 8) void doomed.stop('SIGKILL');
    }
  };
  await Promise.all([work(doomed, 100), work(other, 200), work(other, 300)]);
  const good = made.filter(({ status }) => status === 200);
  t.ok(good.length >= 48, `${good.length} were answered`);
  const nics = await get<{ ip: string; mac: string }[]>(other, '/nics');
  const there = new Set(nics.map(({ ip, mac }) => `${ip} ${mac}`));
  const lost = good.filter(({ body }) => !there.has(`${body.ip} ${body.mac}`));
  t.deepEqual(lost, [], 'all of them are there');
  t.equal(new Set(nics.map(({ ip }) => ip)).size, nics.length, 'no IP twice');
});

test('a heartbeat that one napi-nat was sent is known to all', async (t) => {
  const all = await cluster(t, 2);
  const [one, other] = all as [ServiceProcess, ServiceProcess];
  const post = (path: string, body: object) =>
    fetch(`${one.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const made = await post('/nat_zones', {
    ul3_ip: '192.168.12.7',
    external_ip: '9.9.9.7',
  });
  const { uuid } = (await made.json()) as { uuid: string };
  const beat = { progress: 1, position: 0, digest: 'x', flows: 77 };
  const beats = async () => {
    for (;;) {
      const sent = await post(`/nat_zones/${uuid}/heartbeat`, beat);
      if (sent.status !== 200) return sent.status;
      beat.progress += 1;
      const { status } = await get<{ status: { flows: number } | null }>(
        other,
        `/nat_zones/${uuid}`,
      );
      if (status?.flows === 77) return 'known';
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const waited = new Promise((resolve) => setTimeout(resolve, 30_000).unref());
  t.equal(await Promise.race([beats(), waited]), 'known');
});
