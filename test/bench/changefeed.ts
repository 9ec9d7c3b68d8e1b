// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The changefeed: from the commit of a change to its arrival at listeners of
 * another process, with 1, 100 and 1,000 of them. The publisher works over a
 * real store on disk; changes come 50 a second. The peer is one listener.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createPublisher } from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { createHttpServer } from '#lib/http/server.js';
import { silentLogger } from '#lib/service/log.js';
import { openLevelStore } from '#lib/store/open.js';
import { quantile, type Row, row } from './report.js';

const LISTENERS = [1, 100, 1000];
const CHANGES = 200;
const PERIOD_MS = 20;
const RESOURCE = {
  resource: 'network',
  bootstrapRoute: '/networks',
  subResources: ['create'],
};

/** Milliseconds since the epoch, the same in every process, in fractions. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

interface Listeners {
  process: ChildProcess;
  /** Resolves when all are registered. */
  ready: Promise<void>;
  /** Arrivals of each change by its id; resolves when all are there. */
  arrivals: Promise<Map<string, number[]>>;
}

function startListeners(url: string, count: number): Listeners {
  const main = fileURLToPath(
    new URL('./changefeed-listeners.js', import.meta.url),
  );
  const child = spawn(
    process.execPath,
    [main, url, String(count), String(CHANGES)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let registered = () => {};
  const ready = new Promise<void>((resolve) => {
    registered = resolve;
  });
  const arrivals = new Promise<Map<string, number[]>>((resolve, reject) => {
    const found = new Map<string, number[]>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') {
        registered();
        return;
      }
      const { id, at } = JSON.parse(line) as { id: string; at: number[] };
      found.set(id, at);
    });
    child.once('close', () => {
      if (found.size === CHANGES) resolve(found);
      else reject(new Error(`${found.size} of ${CHANGES} changes arrived`));
    });
  });
  return { process: child, ready, arrivals };
}

/** Commits changes and waits for them: delays in milliseconds, all of them. */
async function measure(directory: string, count: number): Promise<number[]> {
  const store = await openLevelStore(join(directory, String(count)), {
    clock: systemClock(),
  });
  const committed = new Map<string, number>();
  store.journal.onCommit((entries) => {
    for (const { id } of entries) committed.set(id, now());
  });
  const publisher = createPublisher({
    journal: store.journal,
    resources: [RESOURCE],
    log: silentLogger(),
    clock: systemClock(),
  });
  const server = createHttpServer({
    name: 'bench',
    log: silentLogger(),
    precedence: ['route'],
    versions: ['1.0.0'],
    maxBodyBytes: 1000,
  });
  server.add(publisher.routes());
  server.onUpgrade((request, socket, head) =>
    publisher.handleUpgrade(request, socket, head),
  );
  const { port } = await server.listen('127.0.0.1', 0);
  const listeners = startListeners(`ws://127.0.0.1:${port}`, count);
  try {
    await listeners.ready;
    for (let i = 0; i < CHANGES; i++) {
      const id = `change-${i}`;
      const kind = { resource: 'network', subResources: ['create'] };
      await store.batch([], [{ ...kind, id, object: null }]);
      await pause(PERIOD_MS);
    }
    const arrivals = await listeners.arrivals;
    return [...arrivals].flatMap(([id, at]) =>
      at.map((time) => time - (committed.get(id) as number)),
    );
  } finally {
    listeners.process.kill();
    await publisher.stop();
    await server.close();
    await store.close();
  }
}

export async function benchChangefeed(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
  const rows: Row[] = [];
  let alone: number[] | null = null;
  try {
    for (const count of LISTENERS) {
      console.error(`changefeed: ${count} listeners`);
      const delays = await measure(directory, count);
      alone ??= delays;
      for (const [name, q] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const ratio =
          count === 1 ? null : quantile(delays, q) / quantile(alone, q);
        rows.push(row(`changefeed.${name}.${count}`, 'ms', delays, q, ratio));
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return rows;
}
