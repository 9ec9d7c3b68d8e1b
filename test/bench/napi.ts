// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat's own speed over HTTP, by some clients at once, with a thousand, a
 * hundred thousand and a million AIPs stored, on each engine: `GET /aips/:uuid`,
 * `POST /aips`, and a page of `GET /aips`. The peer is the same call at the
 * smallest size, so the ratio says whether its cost is flat.
 * BENCH_SIZES=1k,100k and BENCH_ENGINES=level do a part of it.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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
/** Calls of a round. */
const CALLS = { get: 4000, create: 800, list: 800 };
type Verb = keyof typeof CALLS;
/** AIPs on a page of a list. */
const PAGE = 20;
/** What an operator would give it; everything else, fsync too, as it comes. */
const POSTGRES = ['shared_buffers=256MB', 'max_wal_size=4GB'];

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
    try {
      rows.push(...(await benchEngine(engine, directory, at)));
    } finally {
      await server?.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return rows;
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

async function benchEngine(
  engine: Engine,
  directory: string,
  at: StoreConfig,
): Promise<Row[]> {
  const config = benchConfig(directory, at);
  const rows: Row[] = [];
  const ids: string[] = [];
  let created = 0;
  await (await start(directory, config)).stop();
  for (const size of chosen('BENCH_SIZES', Object.keys(SIZES) as Size[])) {
    console.error(`napi: ${engine} grows to ${size}`);
    await fill(at, ids, SIZES[size], ids.length + created);
    console.error(`napi: ${engine} with ${size}`);
    const { client, pid, stop } = await start(directory, config);
    const measured = await measure(client, pid, ids);
    created += measured.create.ms.length + 1;
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

async function start(directory: string, config: object) {
  const file = join(directory, 'napi-nat.json');
  writeFileSync(file, JSON.stringify(config));
  const main = new URL('../../services/napi-nat/main.js', import.meta.url);
  const child = spawn(process.execPath, [main.pathname, '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
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

type Results = Record<Verb | 'first', Measured>;

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
  };
  /** Far from each other, the same in every run. */
  const at = (n: number) => (n * 7919) % ids.length;
  const verbs: Record<Verb, (n: number) => Promise<unknown>> = {
    get: (n) => client.get(`/aips/${ids[at(n)]}`),
    create: (n) =>
      client.post('/aips', { body: { owner_uuid: ownerOf(at(n)) } }),
    list: (n) => client.get(`/aips?limit=${PAGE}&marker=${ids[at(n)]}`),
  };
  // It has to find out where the addresses that are taken end.
  await round(results.first, pid, 1, verbs.create);
  await round(none(), pid, 500, verbs.get);
  for (let i = 0; i < ROUNDS; i++) {
    for (const verb of Object.keys(verbs) as Verb[]) {
      await round(results[verb], pid, CALLS[verb], verbs[verb]);
    }
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
  return [...all, first];
}
