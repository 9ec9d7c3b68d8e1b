// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Our subscriber against our publisher through everything that goes wrong:
 * no change may be lost, doubled or out of order.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';
import test, { type Test } from 'tape';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  createPublisher,
  createSubscriber,
  type Item,
  type Publisher,
  type PublisherLimits,
  type Subscriber,
  type SubscriberOptions,
} from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { createHttpServer } from '#lib/http/server.js';
import { silentLogger } from '#lib/service/log.js';
import {
  type MemoryJournal,
  memoryJournal,
  networkEvent,
} from '#test/memory-journal.js';
import { until } from '#test/until.js';

const RESOURCES = [
  {
    resource: 'network',
    bootstrapRoute: '/networks',
    subResources: ['create', 'delete'],
  },
];

interface Feed {
  port: number;
  publisher: Publisher;
  stop: () => Promise<void>;
}

/** A publisher over a journal, as a process of napi-nat would have it. */
async function startFeed(
  journal: MemoryJournal,
  port = 0,
  limits: PublisherLimits = {},
): Promise<Feed> {
  const publisher = createPublisher({
    journal,
    resources: RESOURCES,
    log: silentLogger(),
    clock: systemClock(),
    limits: { heartbeatMs: 20, ...limits },
  });
  const server = createHttpServer({
    name: 'test',
    log: silentLogger(),
    precedence: ['route', 'query', 'body'],
    versions: ['1.0.0'],
    maxBodyBytes: 1000,
  });
  server.add(publisher.routes());
  server.onUpgrade((request, socket, head) =>
    publisher.handleUpgrade(request, socket, head),
  );
  const bound = await server.listen('127.0.0.1', port);
  return {
    port: bound.port,
    publisher,
    async stop() {
      await publisher.stop();
      await server.close();
    },
  };
}

interface Follower {
  subscriber: Subscriber;
  items: Item[];
  ids: () => string[];
  gaps: string[];
}

function follow(
  port: number,
  journal: MemoryJournal,
  options: Partial<SubscriberOptions> = {},
): Follower {
  const items: Item[] = [];
  const gaps: string[] = [];
  const subscriber = createSubscriber({
    url: `http://127.0.0.1:${port}`,
    instance: 'zone-1',
    service: 'vxlnatd',
    resources: [{ resource: 'network', subResources: ['create', 'delete'] }],
    backoff: { minMs: 5, maxMs: 40 },
    clock: systemClock(),
    random: () => 0.5,
    log: silentLogger(),
    onBootstrap: async () => journal.position(),
    onItem: (item) => void items.push(item),
    onGap: (reason) => void gaps.push(reason),
    ...options,
  });
  subscriber.start();
  return { subscriber, items, ids: () => items.map((item) => item.id), gaps };
}

/** A TCP relay whose line can be cut, and kept from being made again. */
async function startRelay(
  t: Test,
  target: () => number,
): Promise<{
  port: number;
  made: () => number;
  cut: () => void;
  mute: () => void;
}> {
  let made = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((inner) => {
    made += 1;
    const outer = connect(target(), '127.0.0.1');
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    inner.pipe(outer).pipe(inner);
    outer.on('close', () => inner.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  t.teardown(() => {
    cut();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    made: () => made,
    cut,
    mute() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
  };
}

test('items follow a bootstrap, with their objects, in order', async (t) => {
  const journal = memoryJournal();
  journal.commit(networkEvent('before'));
  const feed = await startFeed(journal);
  const { subscriber, items, gaps } = follow(feed.port, journal);
  await until('connected', () => subscriber.status().connected);
  journal.commit(networkEvent('a'), {
    resource: 'other',
    subResources: ['create'],
    id: 'x',
    object: null,
  });
  journal.commit(networkEvent('b', ['delete'], null));
  await until('two items', () => items.length === 2);
  t.deepEqual(
    items.map(({ id, seq, prev, object }) => ({ id, seq, prev, object })),
    [
      { id: 'a', seq: 2, prev: 1, object: { uuid: 'a' } },
      { id: 'b', seq: 4, prev: 2, object: null },
    ],
  );
  journal.commit({ ...networkEvent('c'), resource: 'other' });
  await until('position', () => subscriber.status().position === 5);
  t.deepEqual(gaps, []);
  t.equal(subscriber.status().bootstraps, 1);
  await subscriber.stop();
  await feed.stop();
});

test('a cut line is resumed without a bootstrap', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal);
  const relay = await startRelay(t, () => feed.port);
  const { subscriber, ids } = follow(relay.port, journal);
  await until('connected', () => subscriber.status().connected);
  const expected: string[] = [];
  for (let i = 0; i < 300; i += 1) {
    expected.push(`n${i}`);
    journal.commit(networkEvent(`n${i}`));
    if (i % 60 === 59) {
      await until('progress', () => ids().length > i - 59);
      relay.cut();
    }
  }
  await until('all items', () => ids().length >= 300);
  t.deepEqual(ids(), expected, 'each once and in order');
  t.equal(subscriber.status().bootstraps, 1);
  t.ok(subscriber.status().connections > 1, 'it was cut');
  await subscriber.stop();
  await feed.stop();
});

test('a bootstrap outlasts the line on which it began', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal);
  const nobody = 1;
  let port = feed.port;
  const relay = await startRelay(t, () => port);
  let [calls, lines] = [0, 0];
  const { subscriber, ids } = follow(relay.port, journal, {
    handshakeMs: 300,
    async onBootstrap() {
      calls += 1;
      const position = journal.position();
      if (calls > 1) return position;
      port = nobody;
      relay.cut();
      await until('the line ends', () => feed.publisher.listeners() === 0);
      port = feed.port;
      await until('it registers', () => feed.publisher.listeners() === 1);
      journal.commit(networkEvent('meanwhile'));
      lines = relay.made();
      await new Promise((resolve) => setTimeout(resolve, 900));
      lines = relay.made() - lines;
      return position;
    },
  });
  await until('it follows', () => ids().length === 1);
  t.deepEqual(ids(), ['meanwhile']);
  t.equal(calls, 1, 'and is not made again');
  t.equal(lines, 0, 'nor is the line, which waits for it');
  await subscriber.stop();
  await feed.stop();
});

test('a publisher that restarts is resumed from', async (t) => {
  const journal = memoryJournal();
  let feed = await startFeed(journal);
  const { subscriber, ids } = follow(feed.port, journal);
  await until('connected', () => subscriber.status().connected);
  journal.commit(networkEvent('a'));
  await until('a', () => ids().length === 1);
  const { port } = feed;
  await feed.stop();
  await until('lost', () => !subscriber.status().connected);
  for (let i = 0; i < 1200; i += 1) journal.commit(networkEvent(`n${i}`));
  feed = await startFeed(journal, port);
  await until('all', () => ids().length === 1201);
  t.equal(ids()[1200], 'n1199');
  t.equal(subscriber.status().bootstraps, 1);
  await subscriber.stop();
  await feed.stop();
});

test('below the horizon it bootstraps again', async (t) => {
  const journal = memoryJournal();
  journal.commit(networkEvent('a'), networkEvent('b'), networkEvent('c'));
  await journal.compact(2);
  const feed = await startFeed(journal);
  const old = follow(feed.port, journal, { resumeFrom: 1 });
  await until('connected', () => old.subscriber.status().connected);
  t.equal(old.subscriber.status().bootstraps, 1);
  t.equal(old.gaps.length, 1, 'and says that it missed something');
  const ahead = follow(feed.port, journal, { resumeFrom: 9, instance: 'z2' });
  await until('connected', () => ahead.subscriber.status().connected);
  t.equal(ahead.subscriber.status().position, 3, 'nor from the future');
  const fresh = follow(feed.port, journal, { resumeFrom: 2, instance: 'z3' });
  await until('c', () => fresh.items.length === 1);
  t.equal(fresh.subscriber.status().bootstraps, 0, 'the horizon itself is in');
  for (const { subscriber } of [old, ahead, fresh]) await subscriber.stop();
  await feed.stop();
});

test('what the bootstrap already has is not handed over', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal);
  const { subscriber, ids } = follow(feed.port, journal, {
    async onBootstrap() {
      journal.commit(networkEvent('in the snapshot'));
      const position = journal.position();
      journal.commit(networkEvent('after the snapshot'));
      return position;
    },
  });
  await until('item', () => ids().length > 0);
  t.deepEqual(ids(), ['after the snapshot']);
  await subscriber.stop();
  await feed.stop();
});

test('an item that fails to be taken leads to a bootstrap', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal);
  const taken: string[] = [];
  let failures = 0;
  const { subscriber } = follow(feed.port, journal, {
    onItem(item) {
      if (item.id === 'bad' && failures === 0) {
        failures += 1;
        throw new Error('engine refused');
      }
      taken.push(item.id);
    },
  });
  await until('connected', () => subscriber.status().connected);
  journal.commit(networkEvent('bad'));
  await until('again', () => subscriber.status().bootstraps === 2);
  await until('connected', () => subscriber.status().connected);
  journal.commit(networkEvent('good'));
  await until('good', () => taken.length === 1);
  t.deepEqual(taken, ['good']);
  await subscriber.stop();
  await feed.stop();
});

test('items are handed over one at a time', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal);
  let running = 0;
  let most = 0;
  const { subscriber } = follow(feed.port, journal, {
    async onItem() {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    },
  });
  await until('connected', () => subscriber.status().connected);
  for (let i = 0; i < 3000; i += 1) journal.commit(networkEvent(`n${i}`));
  await until('all', () => subscriber.status().items === 3000);
  t.equal(most, 1);
  t.equal(subscriber.status().connections, 1, 'a full queue only pauses');
  await subscriber.stop();
  await feed.stop();
});

test('a silent line is given up', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal);
  const relay = await startRelay(t, () => feed.port);
  const { subscriber, ids } = follow(relay.port, journal, {
    pingMs: 10,
    idleMs: 200,
  });
  await until('connected', () => subscriber.status().connected);
  relay.mute();
  journal.commit(networkEvent('a'));
  await until('a, by another line', () => ids().length === 1);
  t.equal(subscriber.status().bootstraps, 1);
  await subscriber.stop();
  await feed.stop();
});

test('an item whose predecessor is missing is a gap', async (t) => {
  // A publisher that loses an item, which ours must not.
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  const resumes: unknown[] = [];
  const item = (seq: number, prev: number) =>
    JSON.stringify({
      changeKind: { resource: 'network', subResources: ['create'] },
      changedResourceId: `n${seq}`,
      published: '1',
      seq,
      prev,
      object: {},
    });
  server.on('connection', (socket: WebSocket) => {
    socket.once('message', (data) => {
      resumes.push(JSON.parse(String(data)).extension.resume);
      socket.send('{"bootstrapRoutes":[],"position":5,"resumed":false}');
      if (resumes.length > 1) return;
      socket.send(item(6, 5));
      socket.send(item(8, 7));
    });
  });
  const { port } = server.address() as { port: number };
  const journal = memoryJournal();
  const { subscriber, ids, gaps } = follow(port, journal, {
    onBootstrap: async () => 5,
  });
  await until('bootstrapped again', () => subscriber.status().bootstraps === 2);
  t.deepEqual(ids(), ['n6'], 'what follows the gap is not handed over');
  t.deepEqual(gaps, ['expected 6 before 8: 7']);
  t.deepEqual(resumes, [null, null], 'it asks for everything');
  await subscriber.stop();
  for (const client of server.clients) client.terminate();
  server.close();
});

test('a slow listener is disconnected, and nobody else', async (t) => {
  const journal = memoryJournal();
  const feed = await startFeed(journal, 0, {
    maxQueuedBytes: 256 * 1024,
    heartbeatMs: 60_000,
  });
  const relay = await startRelay(t, () => feed.port);
  const slow = follow(relay.port, journal, {
    instance: 'slow',
    pingMs: 60_000,
  });
  const quick = follow(feed.port, journal, { instance: 'quick' });
  await until('both', () => feed.publisher.listeners() === 2);
  await until('slow', () => slow.subscriber.status().connected);
  await until('quick', () => quick.subscriber.status().connected);
  relay.mute();
  const object = { filler: 'x'.repeat(20_000) };
  const sent = 1500;
  for (let i = 0; i < sent; i += 1) {
    journal.commit(networkEvent(`n${i}`, ['create'], object));
    if (i % 10 === 9) {
      await until('quick keeps up', () => quick.items.length === i + 1);
    }
  }
  await until('slow is closed', () => feed.publisher.listeners() === 1);
  relay.cut();
  await until('slow comes back', () => slow.items.length === sent);
  t.equal(slow.subscriber.status().bootstraps, 1, 'slow resumed');
  t.equal(quick.subscriber.status().connections, 1, 'the quick one stayed');
  await slow.subscriber.stop();
  await quick.subscriber.stop();
  await feed.stop();
});
