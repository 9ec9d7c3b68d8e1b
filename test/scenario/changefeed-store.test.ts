// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The outbox end to end: many writers on the real store, subscribers whose
 * lines are cut at random, and a publisher that is restarted. Whoever folds
 * the items has, at the end, what the store has.
 */

import test from 'tape';
import { createPublisher, createSubscriber } from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { createHttpServer } from '#lib/http/server.js';
import { silentLogger } from '#lib/service/log.js';
import { openLevelStore } from '#lib/store/open.js';
import type { Store } from '#lib/store/types.js';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';
import { temporaryDirectory } from '#test/tmp.js';

const WRITERS = 8;
const WRITES = 60;
const SUBSCRIBERS = 3;

type Fabric = { n: number };

async function serve(store: Store, port: number) {
  const publisher = createPublisher({
    journal: store.journal,
    resources: [
      {
        resource: 'network',
        bootstrapRoute: '/networks',
        subResources: ['create', 'delete'],
      },
    ],
    log: silentLogger(),
    clock: systemClock(),
    limits: { heartbeatMs: 20 },
  });
  const server = createHttpServer({
    name: 'test',
    log: silentLogger(),
    precedence: ['route'],
    versions: ['1.0.0'],
    maxBodyBytes: 1000,
  });
  const upgrades = new Set<{ destroy: () => void }>();
  server.onUpgrade((request, socket, head) => {
    upgrades.add(socket);
    socket.once('close', () => upgrades.delete(socket));
    publisher.handleUpgrade(request, socket, head);
  });
  server.add(publisher.routes());
  const bound = await server.listen('127.0.0.1', port);
  return {
    port: bound.port,
    cut(rng: Rng) {
      for (const socket of upgrades) if (rng.chance(0.5)) socket.destroy();
    },
    async stop() {
      await publisher.stop();
      await server.close();
    },
  };
}

function follow(store: Store, port: number, instance: string) {
  const seen = new Map<string, number>();
  const state = { seen, ordered: true, last: 0 };
  const subscriber = createSubscriber({
    url: `http://127.0.0.1:${port}`,
    instance,
    service: 'test',
    resources: [{ resource: 'network', subResources: ['create', 'delete'] }],
    backoff: { minMs: 2, maxMs: 20 },
    clock: systemClock(),
    random: () => 0.5,
    log: silentLogger(),
    async onBootstrap() {
      const position = store.journal.position();
      const { objects } = await store.findObjects<Fabric>('n', '(n>=0)', {
        noLimit: true,
      });
      seen.clear();
      for (const { key, value } of objects) seen.set(key, value.n);
      state.last = position;
      return position;
    },
    onItem(item) {
      if (item.seq <= state.last) state.ordered = false;
      state.last = item.seq;
      if (item.object === null) seen.delete(item.id);
      else seen.set(item.id, (item.object as Fabric).n);
    },
  });
  subscriber.start();
  return { subscriber, state };
}

async function write(store: Store, rng: Rng, writer: number): Promise<void> {
  for (let n = 0; n < WRITES; n += 1) {
    const id = `w${writer}-${rng.below(10)}`;
    const gone = rng.chance(0.2);
    const event = {
      resource: 'network',
      subResources: gone ? ['delete'] : ['create'],
      id,
      object: gone ? null : { n },
    };
    await store.batch(
      [
        gone
          ? { operation: 'deleteMany', bucket: 'n', filter: `(id=${id})` }
          : { bucket: 'n', key: id, value: { id, n } },
      ],
      [event],
    );
  }
}

test('whoever follows ends with what the store has', async (t) => {
  const seed = seedOfRun();
  t.comment(`SEED=${seed}`);
  const rng = seededRng(seed);
  const store = await openLevelStore(temporaryDirectory(t), {
    clock: systemClock(),
  });
  await store.putBucket('n', {
    index: { id: { type: 'string', unique: true }, n: { type: 'number' } },
  });
  let feed = await serve(store, 0);
  const { port } = feed;
  const followers = Array.from({ length: SUBSCRIBERS }, (_, i) =>
    follow(store, port, `z${i}`),
  );
  let writing = true;
  const writers = Promise.all(
    Array.from({ length: WRITERS }, (_, i) =>
      write(store, seededRng(seed + i), i),
    ),
  ).finally(() => {
    writing = false;
  });
  for (let round = 0; writing; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, rng.below(30)));
    if (round % 7 === 6) {
      await feed.stop();
      feed = await serve(store, port);
    } else feed.cut(rng);
  }
  await writers;
  const end = store.journal.position();
  t.equal(end, WRITERS * WRITES, 'one entry for each write');
  for (let i = 0; i < 1000; i += 1) {
    if (followers.every((f) => f.subscriber.status().position === end)) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { objects } = await store.findObjects<Fabric>('n', '(n>=0)', {
    noLimit: true,
  });
  const stored = objects.map(({ key, value }) => [key, value.n]).sort();
  for (const { subscriber, state } of followers) {
    t.equal(subscriber.status().position, end, 'everything was handed over');
    t.ok(state.ordered, 'in order, nothing twice');
    t.deepEqual([...state.seen].sort(), stored, 'the same objects');
    t.equal(subscriber.status().gaps, 0, 'every cut was resumed from');
    await subscriber.stop();
  }
  t.ok(
    followers.some(({ subscriber }) => subscriber.status().connections > 1),
    'lines were cut',
  );
  await feed.stop();
  await store.close();
});
