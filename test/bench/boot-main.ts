// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The `boot` benchmark inside of its namespace; see boot.ts. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#lib/clock.js';
import { HttpClient } from '#lib/http/client.js';
import { openLevelStore } from '#lib/store/open.js';
import { napiConfig } from '#test/napi-config.js';
import { fillDataplane } from './boot-fill.js';
import { planRows } from './boot-plan.js';
import { type Row, row } from './report.js';

const [FABRICS, AIPS] = (process.env['BENCH_BOOT'] ?? '100000,1000000')
  .split(',')
  .map(Number) as [number, number];
const ZONE = '00000007-0000-4000-8000-000000000001';
const NAPI = 'http://127.0.0.1:8080';
const ADMIN = 'http://127.0.0.1:2960';
/** Longer than the largest takes on the slowest machine. */
const LIMIT_MS = 900_000;

const directory = mkdtempSync(join(tmpdir(), 'vxlnat-boot-'));
const children: ChildProcess[] = [];
const tell = (line: string) => console.error(`boot: ${line}`);

function start(program: string, flag: string, config: object): ChildProcess {
  const file = join(directory, `${program}.json`);
  writeFileSync(file, JSON.stringify(config));
  const main = new URL(`../../services/${program}/main.js`, import.meta.url);
  const child = spawn(
    process.execPath,
    // As the unit of a site of this size sets it.
    ['--max-old-space-size=8192', main.pathname, flag, file],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  children.push(child);
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** Asks until it suits. */
async function until(
  child: ChildProcess,
  suits: () => Promise<boolean>,
): Promise<void> {
  const began = performance.now();
  while (performance.now() - began < LIMIT_MS) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${child.spawnargs[2]} ended`);
    }
    if (await suits().catch(() => false)) return;
    await sleep(20);
  }
  throw new Error('it took too long');
}

/** Megabytes of memory: now, and the most so far. */
function memory(child: ChildProcess): { rss: number; peak: number } {
  const text = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const kib = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
  return { rss: kib('VmRSS') / 1024, peak: kib('VmHWM') / 1024 };
}

const napiNat = () => {
  const base = napiConfig(directory);
  return start('napi-nat', '-f', {
    ...base,
    listen: { host: '127.0.0.1', port: 8080 },
    log_level: 'error',
  });
};

const vxlnatd = () =>
  start('vxlnatd', '-c', {
    zone_uuid: ZONE,
    napi: { url: NAPI },
    underlay: { ip: '127.0.0.1' },
    io: 'tun',
    announce: 'none',
    manage_os: false,
    state_directory: join(directory, 'state'),
    engine: {
      max_flows: 65_536,
      max_vnets: FABRICS,
      max_rules: FABRICS + 1,
      max_one_to_ones: AIPS + 1,
    },
    log_level: 'error',
  });

/** From its start to every rule in the engine. */
async function bootOf(
  id: string,
): Promise<{ rows: Row[]; zone: ChildProcess }> {
  const client = new HttpClient({ url: ADMIN, timeoutMs: 60_000 });
  const began = performance.now();
  const zone = vxlnatd();
  await until(zone, async () => {
    const { body } = await client.get<{
      engine: { rules: number; one_to_ones: number };
    }>('/stats');
    const { rules, one_to_ones } = body.engine;
    return rules === FABRICS && one_to_ones === AIPS;
  });
  const seconds = (performance.now() - began) / 1000;
  const { rss, peak } = memory(zone);
  tell(`${id}: ${seconds.toFixed(1)} s, ${rss.toFixed(0)} MB`);
  const rows = [
    row(`boot.${id}.s`, 's', [seconds]),
    row(`boot.${id}.rss`, 'MB', [rss]),
    row(`boot.${id}.peak`, 'MB', [peak]),
  ];
  client.close();
  return { rows, zone };
}

async function run(): Promise<Row[]> {
  const client = new HttpClient({ url: NAPI, timeoutMs: 60_000 });
  const pings = (napi: ChildProcess) =>
    until(napi, async () => (await client.get('/ping')).status === 200);
  const first = napiNat();
  await pings(first);
  await client.post('/nat_zones', {
    body: { uuid: ZONE, ul3_ip: '127.0.0.1', external_ip: '9.9.9.9' },
  });
  await end(first, 'SIGTERM');
  tell(`a store with ${FABRICS} fabrics and ${AIPS} AIPs`);
  const store = await openLevelStore(join(directory, 'store'), {
    clock: systemClock(),
  });
  await fillDataplane(store, FABRICS, AIPS, ZONE);
  await store.close();
  tell('napi-nat starts');
  const began = performance.now();
  const napi = napiNat();
  await pings(napi);
  const rows = [row('boot.napi.s', 's', [(performance.now() - began) / 1000])];
  const fresh = await bootOf('bootstrap');
  rows.push(row('boot.napi.peak', 'MB', [memory(napi).peak]));
  await end(napi, 'SIGTERM');
  // The snapshot is on disk when it stops.
  await end(fresh.zone, 'SIGTERM');
  const again = await bootOf('snapshot');
  await end(again.zone, 'SIGTERM');
  client.close();
  tell('one change among all');
  const file = join(directory, 'state', 'dataplane.json');
  const plans = await planRows(file, ZONE);
  return [...rows, ...fresh.rows, ...again.rows, ...plans];
}

try {
  console.log(JSON.stringify(await run()));
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
