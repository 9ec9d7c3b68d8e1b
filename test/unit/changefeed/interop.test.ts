// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * npm `changefeed` itself at the other end: its Listener at our publisher, our
 * subscriber at its Publisher, which gets a moray that is a map. And many
 * listeners at once, one of which does not read.
 */

import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo, Socket } from 'node:net';
import { Writable } from 'node:stream';
import restify from 'restify';
import test, { type Test } from 'tape';
import { WebSocket } from 'ws';
import {
  createPublisher,
  createSubscriber,
  type PublisherOptions,
} from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { createHttpServer } from '#lib/http/server.js';
import { createLogger, silentLogger } from '#lib/service/log.js';
import { manualClock } from '#test/manual-clock.js';
import {
  type MemoryJournal,
  memoryJournal,
  networkEvent,
} from '#test/memory-journal.js';
import { until } from '#test/until.js';

/** Of npm `changefeed`, what is used here; it has no types. */
interface StockItem {
  changeKind: { resource: string; subResources: string[] };
  changedResourceId: string;
}
interface StockListener extends EventEmitter {
  register(): void;
  close(): void;
  read(): StockItem | null;
}
interface StockPublisher extends EventEmitter {
  start(): void;
  stop(): void;
  publish(item: object, done: (error?: Error) => void): void;
}
const stock = createRequire(import.meta.url)('changefeed') as {
  createListener(options: object): StockListener;
  createPublisher(options: object): StockPublisher;
};

const NETWORK = {
  resource: 'network',
  bootstrapRoute: '/networks',
  subResources: ['create', 'delete'],
};
const NIC = {
  resource: 'nic',
  bootstrapRoute: '/nics',
  subResources: ['create', 'delete'],
};

interface Feed {
  url: string;
  listeners: () => number;
  stop: () => Promise<void>;
}

async function ourPublisher(
  t: Test,
  journal: MemoryJournal,
  options: Partial<PublisherOptions> & { port?: number } = {},
): Promise<Feed> {
  const publisher = createPublisher({
    journal,
    resources: [NETWORK, NIC],
    log: silentLogger(),
    clock: systemClock(),
    ...options,
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
  const bound = await server.listen('127.0.0.1', options.port ?? 0);
  const stop = async () => {
    await publisher.stop();
    await server.close();
  };
  t.teardown(stop);
  return {
    url: `http://127.0.0.1:${bound.port}`,
    listeners: () => publisher.listeners(),
    stop,
  };
}

// The stock listener leaves a timer and a socket behind when it is closed.
test.onFinish(() => process.exit());

function stockListener(url: string, kinds: object) {
  const listener = stock.createListener({
    log: silentLogger(),
    url,
    instance: 'cn-1',
    service: 'net-agent',
    backoff: { minTimeout: 20, maxTimeout: 200, retries: 50 },
    ...kinds,
  });
  const seen = {
    bootstraps: [] as object[],
    items: [] as StockItem[],
    // While the publisher lives: later it would try for ever to come back.
    close: () => listener.close(),
  };
  listener.on('bootstrap', (what: object) => seen.bootstraps.push(what));
  listener.on('readable', () => {
    for (let item = listener.read(); item !== null; item = listener.read()) {
      seen.items.push(item);
    }
  });
  listener.register();
  return seen;
}

test('the stock listener of one resource, version 1', async (t) => {
  const journal = memoryJournal();
  const { url } = await ourPublisher(t, journal);
  const seen = stockListener(url, {
    changeKind: { resource: 'network', subResources: ['create'] },
  });
  await until('a bootstrap', () => seen.bootstraps.length > 0);
  t.deepEqual(seen.bootstraps, [NETWORK]);
  journal.commit(
    networkEvent('a'),
    networkEvent('b', ['delete'], null),
    networkEvent('c'),
  );
  await until('two items', () => seen.items.length === 2);
  t.deepEqual(
    seen.items.map(({ changedResourceId }) => changedResourceId),
    ['a', 'c'],
    'what it registered for, once each',
  );
  t.deepEqual(
    Object.keys(seen.items[0] as object).sort(),
    ['changeKind', 'changedResourceId', 'published'],
    'nothing of our extension',
  );
  seen.close();
});

test('the stock listener of two resources bootstraps again after a loss', async (t) => {
  const journal = memoryJournal();
  const first = await ourPublisher(t, journal);
  const seen = stockListener(first.url, {
    resources: [
      { resource: 'network', subResources: ['create'] },
      { resource: 'nic', subResources: ['delete'] },
    ],
  });
  await until('two bootstraps', () => seen.bootstraps.length === 2);
  t.deepEqual(seen.bootstraps, [NETWORK, NIC]);
  await first.stop();
  const { port } = new URL(first.url);
  await ourPublisher(t, journal, { port: Number(port) });
  await until('two more', () => seen.bootstraps.length === 4);
  journal.commit(networkEvent('a'));
  await until('an item', () => seen.items.length === 1);
  t.equal(seen.items[0]?.changedResourceId, 'a');
  seen.close();
});

/** As much of a moray client as the stock publisher uses. */
class MapMoray extends EventEmitter {
  readonly #objects = new Map<string, object>();
  #next = 0;

  override toString(): string {
    return 'a map';
  }
  getBucket(_bucket: string, done: () => void): void {
    setImmediate(done);
  }
  putObject(
    _bucket: string,
    key: string,
    value: object,
    ...rest: unknown[]
  ): void {
    this.#objects.set(key, structuredClone(value));
    setImmediate(rest.at(-1) as () => void);
  }
  delObject(_bucket: string, key: string, done: () => void): void {
    this.#objects.delete(key);
    setImmediate(done);
  }
  findObjects(_bucket: string, filter: string): EventEmitter {
    const answer = new EventEmitter();
    const wanted = filter === '(published=no)';
    setImmediate(() => {
      for (const [key, value] of this.#objects) {
        const isNew = (value as { published: string }).published === 'no';
        if (isNew !== wanted) continue;
        const _id = this.#next++;
        answer.emit('record', { key, value: structuredClone(value), _id });
      }
      answer.emit('end');
    });
    return answer;
  }
}

test('our subscriber at the stock publisher', async (t) => {
  const server = restify.createServer();
  const publisher = stock.createPublisher({
    log: silentLogger(),
    moray: { bucketName: 'changes', client: new MapMoray() },
    maxAge: 100,
    restifyServer: server,
    resources: [NETWORK, NIC],
  });
  await new Promise<void>((resolve) => {
    publisher.once('moray-ready', resolve);
  });
  publisher.start();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => {
    publisher.stop();
    server.close();
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  const { port } = server.address() as AddressInfo;
  let bootstraps = 0;
  const subscriber = createSubscriber({
    url: `http://127.0.0.1:${port}`,
    instance: 'zone-1',
    service: 'vxlnatd',
    resources: [
      { resource: 'network', subResources: ['create', 'delete'] },
      { resource: 'nic', subResources: ['create'] },
    ],
    clock: systemClock(),
    random: Math.random,
    log: silentLogger(),
    onBootstrap: async (position) => {
      bootstraps++;
      return position;
    },
    onItem: () => t.fail('items of this publisher have no object'),
  });
  subscriber.start();
  t.teardown(() => subscriber.stop());
  await until('a bootstrap', () => bootstraps > 0);
  for (const [resource, id] of [
    ['network', 'a'],
    ['nic', 'b'],
  ] as const) {
    const changeKind = { resource, subResources: ['create'] };
    await new Promise<void>((resolve, reject) => {
      publisher.publish({ changeKind, changedResourceId: id }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }
  await until('two items', () => subscriber.status().items === 2);
  const before = bootstraps;
  t.ok(before >= 2, 'a change makes it fetch the state again');
  for (const socket of sockets) socket.destroy();
  await until('two connections', () => subscriber.status().connections === 2);
  t.equal(bootstraps, before + 1, 'so does a lost connection');
});

const LISTENERS = 1000;

/** A listener that counts what it hears, and knows whether it was closed. */
function counting(url: string, instance: string, resource: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/changefeeds`, {
    headers: { 'accept-version': '~1' },
    perMessageDeflate: false,
  });
  const changeKind = { resource, subResources: ['create'] };
  const seen = { socket, answered: false, items: 0, closed: false };
  socket.on('open', () =>
    socket.send(JSON.stringify({ instance, service: 'test', changeKind })),
  );
  socket.on('message', () => {
    if (seen.answered) seen.items++;
    seen.answered = true;
  });
  socket.on('close', () => {
    seen.closed = true;
  });
  return seen;
}

test('a thousand listeners, and one that does not read', async (t) => {
  const journal = memoryJournal();
  const said: { instance?: string; msg: string }[] = [];
  const stream = new Writable({
    write(line: Buffer, _encoding, done) {
      said.push(JSON.parse(line.toString()) as (typeof said)[0]);
      done();
    },
  });
  const { url, listeners } = await ourPublisher(t, journal, {
    log: createLogger({ name: 'test', level: 'warn', stream }),
    limits: { maxQueuedBytes: 1024 * 1024 },
  });
  const slow = counting(url, 'slow', 'nic');
  const all: ReturnType<typeof counting>[] = [];
  t.teardown(() => {
    for (const { socket } of [slow, ...all]) socket.terminate();
  });
  // Not at once: the kernel's queue of new connections is shorter.
  while (all.length < LISTENERS) {
    for (let i = 0; i < 100; i++) {
      all.push(counting(url, `cn-${all.length}`, 'network'));
    }
    await until('answers', () => all.every(({ answered }) => answered));
  }
  await until('the slow one', () => slow.answered);
  t.equal(listeners(), LISTENERS + 1);
  slow.socket.pause();
  // The kernel's buffers hold some of it, whatever their size.
  const large = networkEvent('x'.repeat(32_768));
  let sent = 0;
  while (listeners() > LISTENERS) {
    for (let i = 0; i < 16; i++) journal.commit({ ...large, resource: 'nic' });
    journal.commit(networkEvent('a'));
    sent++;
    await until('all items', () => all.every(({ items }) => items === sent));
  }
  t.pass(`all had all ${sent} changes while it was waited for, then let go`);
  t.ok(all.every(({ closed }) => !closed));
  t.deepEqual(
    said.map(({ instance }) => instance),
    ['slow'],
  );
  t.match(said[0]?.msg ?? '', /^too slow: \d+ items, \d+ bytes waiting$/);
});

test('a slow listener that reads on finds the reason', async (t) => {
  const journal = memoryJournal();
  const { url, listeners } = await ourPublisher(t, journal, {
    // The time that it is given to read never ends.
    clock: manualClock(),
    limits: { maxQueuedBytes: 1024 * 1024 },
  });
  const { socket } = counting(url, 'slow', 'network');
  t.teardown(() => socket.terminate());
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once('close', (code, reason) => resolve([code, String(reason)])),
  );
  await until('registered', () => listeners() === 1);
  socket.pause();
  // More than the kernel's buffers hold; what comes after the end is dropped.
  const large = networkEvent('x'.repeat(32_768));
  for (let i = 0; i < 1000; i++) {
    journal.commit(large);
    if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.resume();
  const [code, reason] = await closed;
  t.equal(code, 1008);
  t.match(reason, /^too slow: \d+ items, \d+ bytes waiting$/);
});
