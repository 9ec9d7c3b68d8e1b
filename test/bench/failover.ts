// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a loss costs. The leader: two napi-nat on one PostgreSQL, kill -9 of
 * the one that leads, until the other has committed a decision; a zone that
 * gives its first sign of life at that moment waits for it. A zone: see
 * failover-zone.ts, in the demo's deployment.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpClient } from '#lib/http/client.js';
import { napiConfig } from '#test/napi-config.js';
import { startServer } from '#test/postgres.js';
import { type ServiceProcess, startService } from '#test/service-process.js';
import { enter } from '../../demo/entry.js';
import { missing, type Row, row } from './report.js';

const KILLS = 7;
const RESULT = 'build/bench-failover.json';

interface Napi {
  process: ServiceProcess;
  client: HttpClient;
}

/** Tells the zone's heartbeats to whoever is left, until it is up. */
async function raisedBy(napi: Napi, uuid: string): Promise<void> {
  const path = `/nat_zones/${uuid}`;
  for (let progress = 1; ; progress += 1) {
    const beat = { progress, position: 0, digest: 'x' };
    await napi.client.post(`${path}/heartbeat`, { body: beat });
    const { body } = await napi.client.get<{ state: string }>(path);
    if (body.state === 'up') return;
    await sleep(5);
  }
}

async function killLeader(
  leader: Napi,
  other: Napi,
  n: number,
): Promise<number> {
  const made = await other.client.post<{ uuid: string }>('/nat_zones', {
    body: { ul3_ip: `127.0.42.${n + 1}`, external_ip: `3.3.3.${200 + n}` },
  });
  const began = performance.now();
  const gone = leader.process.stop('SIGKILL');
  await raisedBy(other, made.body.uuid);
  const took = performance.now() - began;
  await gone;
  leader.client.close();
  return took;
}

/** Kills whoever leads, again and again. */
async function leaders(): Promise<Row> {
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
  const server = await startServer([]);
  const ends: (() => unknown)[] = [];
  const t = { teardown: (end: () => unknown) => ends.push(end) };
  let count = 0;
  const start = async (): Promise<Napi> => {
    const own = join(directory, String(count++));
    mkdirSync(own);
    const store = { postgres: { url: server.url, schema: 'bench' } };
    const config = { ...napiConfig(own), store };
    const process = await startService(t, 'napi-nat', config, own);
    return {
      process,
      client: new HttpClient({ url: process.url, timeoutMs: 10_000 }),
    };
  };
  try {
    let leader = await start();
    const took: number[] = [];
    for (let n = 0; n < KILLS; n += 1) {
      const other = await start();
      // Its lease and its watch are settled.
      await sleep(2000);
      took.push(await killLeader(leader, other, n));
      leader = other;
    }
    leader.client.close();
    return row('failover.leader', 'ms', took);
  } finally {
    for (const end of ends) await end();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs both; the zones' part needs root, as the demo does. */
export async function benchFailover(): Promise<Row[]> {
  const leader = await leaders();
  rmSync(RESULT, { force: true });
  const program = new URL('./failover-zone.js', import.meta.url).pathname;
  const status = await enter('bench', program);
  if (status !== 0) {
    process.exitCode = 1;
    return [leader, missing('zone', "the demo's deployment failed")];
  }
  const zones = JSON.parse(readFileSync(RESULT, 'utf8')) as Row[];
  return [leader, ...zones];
}
