// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: of several napi-nat on one PostgreSQL a listener of one
 * misses or repeats what another has done, also when one is killed in between.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { WebSocket } from 'ws';
import { napiConfig } from '#test/napi-config.js';
import { freshAddress } from '#test/postgres.js';
import { type ServiceProcess, startService } from '#test/service-process.js';
import { temporaryDirectory } from '#test/tmp.js';

const PROCESSES = 3;
const LISTENERS = 2;
const AIPS = 120;

/** Which AIPs a listener has heard of, in its order. */
class Listener {
  readonly heard: string[] = [];
  readonly ready: Promise<void>;
  readonly #socket: WebSocket;
  #wake: () => void = () => {};

  constructor(t: Test, at: ServiceProcess, instance: string) {
    const url = `${at.url.replace('http', 'ws')}/changefeeds`;
    const headers = { 'accept-version': '~1' };
    this.#socket = new WebSocket(url, { headers });
    const socket = this.#socket;
    t.teardown(() => socket.terminate());
    socket.on('error', () => {});
    const changeKind = { resource: 'aip', subResources: ['create'] };
    socket.on('open', () =>
      socket.send(JSON.stringify({ instance, service: 'test', changeKind })),
    );
    this.ready = new Promise((resolve) => {
      socket.once('message', () => {
        resolve();
        socket.on('message', (data: Buffer) => this.#take(data));
      });
    });
  }

  #take(data: Buffer): void {
    const item = JSON.parse(data.toString()) as { changedResourceId: string };
    this.heard.push(item.changedResourceId);
    this.#wake();
  }

  /** Waits until it has heard of all of these. */
  async until(ids: string[]): Promise<void> {
    while (!ids.every((id) => this.heard.includes(id))) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function create(at: ServiceProcess, n: number): Promise<string | null> {
  const owner = (n % 7).toString(16).padStart(12, '0');
  const response = await fetch(`${at.url}/aips`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ owner_uuid: `00000002-0000-4000-8000-${owner}` }),
  });
  const { uuid, ip } = (await response.json()) as { uuid: string; ip: string };
  return response.status === 200 ? `${uuid} ${ip}` : null;
}

test('each listener of each napi-nat hears each event once', async (t) => {
  const directory = temporaryDirectory(t);
  const postgres = await freshAddress();
  const all = await Promise.all(
    Array.from({ length: PROCESSES }, (_, i) => {
      const own = join(directory, String(i));
      mkdirSync(own);
      const config = { ...napiConfig(own, '3.3.3.240'), store: { postgres } };
      return startService(t, 'napi-nat', config, own);
    }),
  );
  const listeners = all.map((at, i) =>
    Array.from(
      { length: LISTENERS },
      (_, n) => new Listener(t, at, `${i}.${n}`),
    ),
  );
  await Promise.all(listeners.flat().map(({ ready }) => ready));
  const made: string[] = [];
  let refused = 0;
  const [doomed] = all as [ServiceProcess];
  const work = async (at: ServiceProcess, first: number) => {
    for (let n = first; n < AIPS; n += 2 * PROCESSES) {
      const answer = await create(at, n).catch(() => null);
      if (answer !== null) made.push(answer);
      else if (at === doomed) return;
      else refused += 1;
      if (made.length === AIPS / 4) void doomed.stop('SIGKILL');
    }
  };
  await Promise.all(
    all.flatMap((at, i) => [work(at, i), work(at, i + PROCESSES)]),
  );
  t.equal(refused, 0, 'who lives refuses nothing');
  t.equal(new Set(made.map((each) => each.split(' ')[1])).size, made.length);
  const survivor = all[1] as ServiceProcess;
  const listed = await fetch(`${survivor.url}/aips`);
  const aips = (await listed.json()) as { uuid: string }[];
  const there = aips.map(({ uuid }) => uuid).sort();
  const answered = made.map((each) => each.split(' ')[0] as string);
  t.deepEqual(
    answered.filter((uuid) => !there.includes(uuid)),
    [],
    'what was answered is there',
  );
  for (const listener of listeners.slice(1).flat()) {
    await listener.until(there);
    t.deepEqual([...listener.heard].sort(), there, 'each once, no other');
  }
  for (const { heard } of listeners[0] ?? []) {
    const known = heard.filter((uuid) => there.includes(uuid));
    t.equal(new Set(known).size, heard.length, 'the dead one repeated nothing');
  }
});
