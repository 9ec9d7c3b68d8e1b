// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat's own speed over HTTP, by some clients at once, with a thousand, a
 * hundred thousand and a million AIPs stored, on each engine: `GET /aips/:uuid`,
 * `POST /aips`, and a page of `GET /aips`. The peer is the same call at the
 * smallest size, so the ratio says whether its cost is flat. It is measured at
 * rest: LevelDB puts in order by itself what a fill of minutes has piled up, and
 * what reads found scattered; a site that grew in months has that behind it, as
 * PostgreSQL has its VACUUM (napi-fill.ts). `napi.rest` says how long it took.
 * BENCH_SIZES=1k,100k and BENCH_ENGINES=level do a part of it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpClient } from '#lib/http/client.js';
import { napiConfig } from '#test/napi-config.js';
import { startServer } from '#test/postgres.js';
import type { StoreConfig } from '../../services/napi-nat/config.js';
import { fill, ownerOf } from './napi-fill.js';
import { type Row, row } from './report.js';

const SIZES = { '1k': 1_000, '100k': 100_000, '1m': 1_000_000 } as const;
type Size = keyof typeof SIZES;
const ENGINES = ['level', 'postgres'] as const;
type Engine = (typeof ENGINES)[number];

const CLIENTS = 16;
const ROUNDS = 3;
/** Rounds before those: LevelDB orders what reads found scattered. */
const FIRST = 2;
/** Calls of a round. */
const CALLS = { get: 4000, create: 800, list: 800 };
type Verb = keyof typeof CALLS;
/** AIPs on a page of a list. */
const PAGE = 20;
/** What an operator would give it; everything else, fsync too, as it comes. */
const POSTGRES = ['shared_buffers=256MB', 'max_wal_size=4GB'];

/** Where a napi-nat runs, and the process while there is one. */
interface Site {
  directory: string;
  store: StoreConfig;
  napi: ChildProcess | null;
}

/** As one that was killed this moment may still have files open. */
const RMDIR = { recursive: true, force: true, maxRetries: 5 } as const;

/** Runs all sizes on a store of each engine that grows. */
export async function benchNapi(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const engine of chosen('BENCH_ENGINES', ENGINES)) {
    const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
    const server = engine === 'postgres' ? await startServer(POSTGRES) : null;
    const at: StoreConfig =
      server === null
        ? { directory: join(directory, 'store') }
        : { postgres: { url: server.url, schema: 'bench' } };
    const site: Site = { directory, store: at, napi: null };
    const end = async () => {
      site.napi?.kill('SIGKILL');
      await server?.stop();
      rmSync(directory, RMDIR);
    };
    const forget = onSignal(end);
    try {
      rows.push(...(await benchEngine(engine, site)));
    } finally {
      forget();
      await end();
    }
  }
  return rows;
}

/**
 * Has a bench that is told to end leave nothing behind.
 * @returns takes that back
 */
function onSignal(end: () => Promise<void>): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const ended = () => void end().finally(() => process.exit(1));
  for (const signal of signals) process.once(signal, ended);
  return () => {
    for (const signal of signals) process.off(signal, ended);
  };
}

/** Those of all that an environment variable names, else all. */
function chosen<T extends string>(name: string, all: readonly T[]): T[] {
  const words = process.env[name]?.split(',') ?? [...all];
  const unknown = words.find((word) => !all.includes(word as T));
  if (unknown !== undefined) {
    throw new Error(`${name}: "${unknown}" is none of ${all.join(', ')}`);
  }
  return all.filter((each) => words.includes(each));
}

async function benchEngine(engine: Engine, site: Site): Promise<Row[]> {
  const rows: Row[] = [];
  const ids: string[] = [];
  let created = 0;
  await (await start(site)).stop();
  for (const size of chosen('BENCH_SIZES', Object.keys(SIZES) as Size[])) {
    console.error(`napi: ${engine} grows to ${size}`);
    await fill(site.store, ids, SIZES[size], ids.length + created);
    console.error(`napi: ${engine} with ${size}`);
    const { client, pid, stop } = await start(site);
    const measured = await measure(client, pid, ids);
    created += CREATED;
    client.close();
    await stop();
    rows.push(...rowsOf(`${size}.${engine}`, measured, rows));
  }
  return rows;
}

function benchConfig(directory: string, store: StoreConfig): object {
  const config = napiConfig(directory) as {
    initial_networks: Record<string, object>;
  };
  config.initial_networks['external'] = {
    ...config.initial_networks['external'],
    network: '100.64.0.0',
    netmask: '255.192.0.0',
    startIP: '100.64.0.1',
    endIP: '100.127.255.250',
  };
  return { ...config, store, log_level: 'info' };
}

async function start(site: Site) {
  const { directory, store } = site;
  const config = benchConfig(directory, store);
  const file = join(directory, 'napi-nat.json');
  writeFileSync(file, JSON.stringify(config));
  const main = new URL('../../services/napi-nat/main.js', import.meta.url);
  const child = spawn(process.execPath, [main.pathname, '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  site.napi = child;
  const gone = new Promise<void>((resolve) =>
    child.once('exit', () => resolve()),
  );
  const url = await new Promise<string>((resolve, reject) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on('line', (line) => {
        if (!line.includes('"msg":"listening"')) return;
        const { http } = JSON.parse(line) as { http: { port: number } };
        resolve(`http://127.0.0.1:${http.port}`);
      });
    }
    void gone.then(() => reject(new Error('napi-nat did not start')));
  });
  return {
    client: new HttpClient({ url, timeoutMs: 60_000 }),
    pid: child.pid as number,
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** What rounds of one verb gave. */
interface Measured {
  /** Calls per second, of each round. */
  rates: number[];
  /** Microseconds of napi-nat's CPU for a call, of each round. */
  cpu: number[];
  /** Milliseconds of each call. */
  ms: number[];
}

/** Microseconds of CPU that a process has had, all threads. */
function cpuOf(pid: number): number {
  const [, fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = (fields ?? '').split(' ').slice(11, 13);
  // In ticks of USER_HZ, which Linux has at 100 for every architecture.
  return (Number(user) + Number(system)) * 10_000;
}

/**
 * Waits until a process has nothing more to do by itself.
 * @returns the seconds that it took
 */
async function rest(pid: number): Promise<number> {
  const begin = performance.now();
  for (let still = 0; still < 3; ) {
    const before = cpuOf(pid);
    await sleep(1000);
    // Less than a twentieth of a CPU: probes and heartbeats.
    still = cpuOf(pid) - before < 50_000 ? still + 1 : 0;
  }
  return (performance.now() - begin) / 1000;
}

/** One round by all clients together. */
async function round(
  into: Measured,
  pid: number,
  calls: number,
  call: (n: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const cpu = cpuOf(pid);
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let n = next++; n < calls; n = next++) {
        const before = performance.now();
        await call(n);
        into.ms.push(performance.now() - before);
      }
    }),
  );
  into.rates.push(calls / ((performance.now() - begin) / 1000));
  into.cpu.push((cpuOf(pid) - cpu) / calls);
}

/** AIPs that a size creates. */
const CREATED = 1 + (FIRST + ROUNDS) * CALLS.create;

type Results = Record<Verb | 'first', Measured> & {
  /** Seconds until napi-nat was at rest, after its start and each first round. */
  rest: number[];
};

async function measure(
  client: HttpClient,
  pid: number,
  ids: string[],
): Promise<Results> {
  const none = (): Measured => ({ rates: [], cpu: [], ms: [] });
  const results: Results = {
    first: none(),
    get: none(),
    create: none(),
    list: none(),
    rest: [],
  };
  /** Far from each other, the same in every run. */
  const at = (n: number) => (n * 7919) % ids.length;
  const verbs: Record<Verb, (n: number) => Promise<unknown>> = {
    get: (n) => client.get(`/aips/${ids[at(n)]}`),
    create: (n) =>
      client.post('/aips', { body: { owner_uuid: ownerOf(at(n)) } }),
    list: (n) => client.get(`/aips?limit=${PAGE}&marker=${ids[at(n)]}`),
  };
  results.rest.push(await rest(pid));
  // It has to find out where the addresses that are taken end.
  await round(results.first, pid, 1, verbs.create);
  for (let i = 0; i < FIRST + ROUNDS; i++) {
    for (const verb of Object.keys(verbs) as Verb[]) {
      const into = i < FIRST ? none() : results[verb];
      await round(into, pid, CALLS[verb], verbs[verb]);
    }
    if (i < FIRST) results.rest.push(await rest(pid));
  }
  return results;
}

/** @param before rows of smaller sizes, the first of which is the peer */
function rowsOf(name: string, results: Results, before: Row[]): Row[] {
  const first = row(`napi.first_create.${name}`, 'ms', results.first.ms);
  const all = (Object.keys(CALLS) as Verb[]).flatMap((verb) => {
    const { rates, cpu, ms } = results[verb];
    const rate = row(`napi.${verb}.${name}`, 'req/s', rates);
    const peer = before.find(({ id }) => id.startsWith(`napi.${verb}.`));
    const ratio = peer === undefined ? null : rate.value / peer.value;
    return [
      { ...rate, ratio },
      row(`napi.${verb}.${name}.p50`, 'ms', ms),
      row(`napi.${verb}.${name}.p99`, 'ms', ms, 0.99),
      row(`napi.${verb}.${name}.cpu`, 'us', cpu),
    ];
  });
  return [...all, first, row(`napi.rest.${name}`, 's', results.rest, 1)];
}
