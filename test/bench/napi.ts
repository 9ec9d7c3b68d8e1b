// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * napi-nat's own speed: `GET /aips/:uuid` and `POST /aips` over HTTP by a few
 * clients at once, with a thousand and with a hundred thousand AIPs stored. The
 * peer is the same call at a thousand, so the ratio says whether cost is flat.
 * The store is filled directly, in the shape that the service itself writes.
 */

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '#lib/clock.js';
import { HttpClient } from '#lib/http/client.js';
import { formatIpv4, ipv4 } from '#lib/net/ipv4.js';
import { openLevelStore } from '#lib/store/open.js';
import { napiConfig, PUBLIC_NETWORK } from '#test/napi-config.js';
import {
  AIP_BUCKET,
  type AipRecord,
} from '../../services/napi-nat/aip/record.js';
import { ipBucket } from '../../services/napi-nat/ip/record.js';
import {
  PUBLIC_BUCKET,
  type PublicRecord,
} from '../../services/napi-nat/public/record.js';
import { type Row, row } from './report.js';

const SIZES: [string, number][] = [
  ['1k', 1_000],
  ['100k', 100_000],
];
const CLIENTS = 8;
const GETS = 4000;
const CREATES = 800;
const ROUNDS = 3;
const OWNER = '44444444-0000-4000-8000-000000000001';
/** 100.64.0.0/10 has room for every size. */
const BASE = (100 << 24) + (64 << 16);

/** Runs all sizes on one store that grows. */
export async function benchNapi(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'vxlnat-bench-'));
  const config = benchConfig(directory);
  const rows: Row[] = [];
  try {
    await (await start(directory, config)).stop();
    const ids: string[] = [];
    for (const [name, size] of SIZES) {
      await fill(directory, ids, size);
      rows.push(...(await measure(directory, config, name, ids, rows)));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return rows;
}

function benchConfig(directory: string): object {
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
  return { ...config, log_level: 'error' };
}

async function start(directory: string, config: object) {
  const file = join(directory, 'napi-nat.json');
  writeFileSync(file, JSON.stringify({ ...config, log_level: 'info' }));
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
    client: new HttpClient({ url, timeoutMs: 30_000 }),
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

function records(n: number): [AipRecord, PublicRecord] {
  const ip = formatIpv4(ipv4(BASE + 1 + n));
  const uuid = randomUUID();
  const now = Date.now();
  return [
    {
      uuid,
      owner_uuid: OWNER,
      ip,
      network_uuid: PUBLIC_NETWORK,
      created: now,
      modified: now,
      v: 1,
    },
    {
      ip,
      kind: 'aip',
      network_uuid: PUBLIC_NETWORK,
      allocation_uuid: uuid,
      aip_uuid: uuid,
      fabric_owners: [],
      fabrics_by_owner: {},
      fabrics: 0,
      addresses: 0,
      v: 1,
    },
  ];
}

/** Adds AIPs until there are `size`, as the service would have stored them. */
async function fill(
  directory: string,
  ids: string[],
  size: number,
): Promise<void> {
  const store = await openLevelStore(join(directory, 'store'), {
    clock: systemClock(),
  });
  const bucket = ipBucket(PUBLIC_NETWORK);
  const taken = await store.findObjects(bucket, '(ipaddr=*)', { limit: 1 });
  let next = taken.count;
  while (ids.length < size) {
    const requests = [];
    for (let i = 0; i < 500 && ids.length < size; i++) {
      const [aip, place] = records(next++);
      ids.push(aip.uuid);
      requests.push(
        { bucket: AIP_BUCKET, key: aip.uuid, value: aip },
        { bucket: PUBLIC_BUCKET, key: place.ip, value: place },
        {
          bucket,
          key: aip.ip,
          value: {
            ipaddr: aip.ip,
            reserved: true,
            belongs_to_type: 'other',
            belongs_to_uuid: aip.uuid,
            owner_uuid: OWNER,
            v: 2,
          },
        },
      );
    }
    await store.batch(requests);
  }
  await store.close();
}

/** Calls per second by all clients together. */
async function rate(
  calls: number,
  call: (n: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let n = next++; n < calls; n = next++) await call(n);
    }),
  );
  return calls / ((performance.now() - begin) / 1000);
}

async function measure(
  directory: string,
  config: object,
  name: string,
  ids: string[],
  before: Row[],
): Promise<Row[]> {
  const { client, stop } = await start(directory, config);
  const get = (n: number) =>
    client.get(`/aips/${ids[(n * 7919) % ids.length]}`);
  const create = () => client.post('/aips', { body: { owner_uuid: OWNER } });
  const gets: number[] = [];
  const creates: number[] = [];
  await rate(500, get);
  for (let i = 0; i < ROUNDS; i++) {
    gets.push(await rate(GETS, get));
    creates.push(await rate(CREATES, create));
  }
  client.close();
  await stop();
  const first = (verb: string) =>
    before.find((r) => r.id === `napi.${verb}.1k`)?.value ?? null;
  const make = (verb: string, values: number[]) => {
    const peer = first(verb);
    const made = row(`napi.${verb}.${name}`, 'req/s', values);
    return peer === null ? made : { ...made, ratio: made.value / peer };
  };
  return [make('get', gets), make('create', creates)];
}
