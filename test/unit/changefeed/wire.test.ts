// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The publisher against a listener made of raw bytes: what an unmodified
 * npm `changefeed` listener would see (facts: triton-napi 10.2, 10.3).
 */

import { connect, type Socket } from 'node:net';
import test, { type Test } from 'tape';
import {
  createPublisher,
  type Publisher,
  type PublisherLimits,
} from '#lib/changefeed/index.js';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import { startHttp } from '#test/http-server.js';
import {
  type MemoryJournal,
  memoryJournal,
  networkEvent,
} from '#test/memory-journal.js';

const NETWORK = {
  resource: 'network',
  bootstrapRoute: '/networks',
  subResources: ['create', 'delete', 'gateway'],
};
const NIC = {
  resource: 'nic',
  bootstrapRoute: '/nics',
  subResources: ['create', 'delete'],
};
/** Of RFC 6455 section 1.3, with the accept value it must give. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

interface World {
  /** A new connection that does not speak yet. */
  listen: () => RawListener;
  journal: MemoryJournal;
  publisher: Publisher;
  get: (path: string, version?: string) => Promise<Response>;
}

async function world(t: Test, limits: PublisherLimits = {}): Promise<World> {
  const journal = memoryJournal();
  const publisher = createPublisher({
    journal,
    resources: [NETWORK, NIC],
    log: silentLogger(),
    clock: systemClock(),
    limits,
  });
  const raws = new Set<RawListener>();
  // In this order: listeners, publisher, server.
  t.teardown(() => {
    for (const raw of raws) raw.end();
  });
  t.teardown(() => publisher.stop());
  const { server, port, url } = await startHttp(t, publisher.routes());
  server.onUpgrade((request, socket, head) =>
    publisher.handleUpgrade(request, socket, head),
  );
  return {
    journal,
    publisher,
    listen() {
      const raw = new RawListener(port);
      raws.add(raw);
      return raw;
    },
    get: (path, version = '*') =>
      fetch(url + path, { headers: { 'accept-version': version } }),
  };
}

interface Frame {
  opcode: number;
  masked: boolean;
  fin: boolean;
  text: string;
  code: number;
}

/** A listener that keeps what comes and takes it apart by hand. */
class RawListener {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake?.();
    });
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
    this.#socket.on('error', () => {});
  }

  end(): void {
    this.#socket.destroy();
  }

  async upgrade(version: string, path = '/changefeeds'): Promise<string> {
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nconnection: upgrade\r\n` +
        `upgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\n` +
        `Sec-WebSocket-Version: 13\r\n${version}\r\n`,
    );
    let end = this.#bytes.indexOf('\r\n\r\n');
    while (end < 0) {
      await this.#more();
      end = this.#bytes.indexOf('\r\n\r\n');
    }
    const head = this.#bytes.subarray(0, end).toString();
    this.#bytes = this.#bytes.subarray(end + 4);
    return head;
  }

  send(text: string, opcode = 1): void {
    const payload = Buffer.from(text);
    const mask = Buffer.from([1, 2, 3, 4]);
    const head =
      payload.length < 126
        ? Buffer.from([0x80 | opcode, 0x80 | payload.length])
        : Buffer.from([
            0x80 | opcode,
            0x80 | 126,
            payload.length >> 8,
            payload.length & 255,
          ]);
    const masked = payload.map((byte, i) => byte ^ (mask[i % 4] as number));
    this.#socket.write(Buffer.concat([head, mask, masked]));
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  async frame(): Promise<Frame> {
    for (;;) {
      const frame = this.#take();
      if (frame !== undefined) return frame;
      await this.#more();
    }
  }

  async json(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.frame()).text);
  }

  #take(): Frame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    let length = (bytes[1] as number) & 0x7f;
    let at = 2;
    if (length === 126) {
      if (bytes.length < 4) return undefined;
      length = bytes.readUInt16BE(2);
      at = 4;
    }
    if (bytes.length < at + length) return undefined;
    const payload = bytes.subarray(at, at + length);
    this.#bytes = bytes.subarray(at + length);
    const opcode = (bytes[0] as number) & 0x0f;
    const isClose = opcode === 8;
    return {
      opcode,
      masked: ((bytes[1] as number) & 0x80) !== 0,
      fin: ((bytes[0] as number) & 0x80) !== 0,
      code: isClose ? payload.readUInt16BE(0) : 0,
      text: payload.subarray(isClose ? 2 : 0).toString(),
    };
  }

  async #more(): Promise<void> {
    if (this.#ended) throw new Error('connection ended');
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

function v1(subResources: string[], instance = 'i'): string {
  return JSON.stringify({
    instance,
    service: 's',
    changeKind: { resource: 'network', subResources },
  });
}

test('the resources are an object by name, in versions 1 and 2', async (t) => {
  const { get } = await world(t);
  const answer = await get('/changefeeds', '~1');
  t.equal(answer.status, 200);
  t.deepEqual(await answer.json(), { network: NETWORK, nic: NIC });
  t.equal((await get('/changefeeds', '~2')).status, 200);
  const refused = await get('/changefeeds', '~3');
  t.equal(refused.status, 400);
  t.deepEqual(await refused.json(), {
    code: 'InvalidVersion',
    message: '~3 is not supported by GET /changefeeds',
  });
});

test('a version 1 listener gets resource, then items, once each', async (t) => {
  const { listen, journal, get } = await world(t);
  const raw = listen();
  const head = await raw.upgrade('accept-version: ~1\r\n');
  t.ok(head.startsWith('HTTP/1.1 101 '), 'upgraded');
  t.ok(/^connection: upgrade$/im.test(head), 'header Connection');
  t.ok(/^upgrade: websocket$/im.test(head), 'header Upgrade');
  t.ok(head.includes(`Sec-WebSocket-Accept: ${ACCEPT}`), 'accept value');
  t.notOk(/extensions|protocol:/i.test(head), 'no extension, no protocol');

  raw.send(v1(['create', 'gateway']));
  const answer = await raw.frame();
  t.deepEqual(
    [answer.opcode, answer.fin, answer.masked],
    [1, true, false],
    'one unmasked text frame',
  );
  t.equal(answer.text, JSON.stringify(NETWORK), 'all its sub-resources');

  raw.send('heartbeat');
  journal.commit(networkEvent('n0', ['delete']));
  journal.commit({
    ...networkEvent('n1', ['create', 'gateway']),
    extra: { etag: 'ABCD', bootstrapRoute: '/x', published: 'never' },
  });
  journal.commit({
    resource: 'nic',
    subResources: ['create'],
    id: 'm',
    object: null,
  });
  journal.commit(networkEvent('n2', ['gateway']));
  t.equal(
    (await raw.frame()).text,
    '{"changeKind":{"resource":"network","subResources":["create","gateway"]}' +
      ',"changedResourceId":"n1","published":"1700000000000","etag":"ABCD"}',
    'no extension, nothing that looks like a bootstrap, once',
  );
  t.equal((await raw.json())['changedResourceId'], 'n2', 'then the next');

  const stats = (await (await get('/changefeeds/stats')).json()) as {
    listeners: number;
    registrations: Record<string, Record<string, { items: number }>>;
  };
  t.equal(stats.listeners, 2, 'counts resources, as the real one does');
  t.equal(stats.registrations['network']?.['i']?.items, 2);
});

test('a version 2 listener hears of several resources', async (t) => {
  const { listen, journal } = await world(t);
  const raw = listen();
  await raw.upgrade('accept-version: ~2\r\n', '/any/path');
  raw.send(
    JSON.stringify({
      instance: 'i',
      service: 's',
      resources: [
        { resource: 'nic', subResources: ['create'] },
        { resource: 'network', subResources: ['delete'] },
      ],
    }),
  );
  t.equal(
    (await raw.frame()).text,
    JSON.stringify({ bootstrapRoutes: [NIC, NETWORK] }),
    'in the order asked for',
  );
  journal.commit(networkEvent('a', ['create']), networkEvent('b', ['delete']));
  const item = await raw.json();
  t.equal(item['changedResourceId'], 'b');
  t.notOk('seq' in item || 'object' in item, 'our extension stays unseen');
});

test('a wrong registration is closed with its reason', async (t) => {
  const { listen, publisher } = await world(t);
  const resource = { resource: 'network', subResources: [] };
  const cases: [string, unknown, string][] = [
    ['~1', 'x', 'failed to parse v1 registration payload'],
    ['~2', 'x', 'failed to parse v2 registration payload'],
    ['~1', [], 'v1 registration should be an object'],
    ['~1', {}, 'v1 registration should contain an "instance" identifier'],
    ['~1', { instance: 'i' }, 'v1 registration should contain a "changeKind"'],
    [
      '~1',
      { instance: 'i', changeKind: { resource: 'nope', subResources: [] } },
      'unknown resource: nope',
    ],
    [
      '~2',
      { instance: 'i' },
      'v2 registration should contain a "resources" array',
    ],
    ['~2', { instance: 'i', resources: [] }, 'no resources specified'],
    [
      '~2',
      { instance: 'i', resources: [{ ...resource, resource: '' }] },
      'v2 registration resources should contain a "resource"',
    ],
    [
      '~2',
      { instance: 'i', resources: [{ resource: 'network' }] },
      'v2 registration resources should contain "subResources"',
    ],
    [
      '~2',
      {
        instance: 'i',
        resources: [resource, { ...resource, resource: '__proto__' }],
      },
      'unknown resource: __proto__',
    ],
    [
      '~2',
      {
        instance: 'i',
        resources: [{ ...resource, resource: 'é'.repeat(200) }],
      },
      `unknown resource: ${'é'.repeat(52)}`,
    ],
    [
      '~2',
      { instance: 'i', resources: [resource], extension: { resume: -1 } },
      'v2 registration "extension" should contain a valid "resume"',
    ],
  ];
  for (const [version, body, reason] of cases) {
    const raw = listen();
    await raw.upgrade(`accept-version: ${version}\r\n`);
    raw.send(typeof body === 'string' ? body : JSON.stringify(body));
    const frame = await raw.frame();
    t.deepEqual([frame.opcode, frame.code], [8, 1000]);
    t.equal(frame.text, reason);
  }
  t.equal(publisher.listeners(), 0);
});

test('without accept-version the registration is version 1', async (t) => {
  const { listen } = await world(t);
  const raw = listen();
  await raw.upgrade('');
  raw.send(v1(['create']));
  t.equal((await raw.json())['resource'], 'network');
});

test('a subprotocol is not taken up, a huge frame is refused', async (t) => {
  const { listen } = await world(t);
  const raw = listen();
  const head = await raw.upgrade('Sec-WebSocket-Protocol: chat\r\n');
  t.ok(head.startsWith('HTTP/1.1 101 '));
  t.notOk(/sec-websocket-protocol/i.test(head));
  const big = listen();
  await big.upgrade('');
  big.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1]));
  const frame = await big.frame();
  t.deepEqual([frame.opcode, frame.code], [8, 1009], 'by its header alone');
});

test('the same instance registering again takes over', async (t) => {
  const { listen, journal } = await world(t);
  const older = listen();
  await older.upgrade('');
  older.send(v1(['create'], 'same'));
  await older.json();
  const newer = listen();
  await newer.upgrade('');
  newer.send(v1(['create'], 'same'));
  await newer.json();
  journal.commit(networkEvent('n1'));
  t.equal((await newer.json())['changedResourceId'], 'n1');
  older.send('ping me', 9);
  const next = await older.frame();
  t.equal(next.opcode, 10, 'the older one got nothing but its PONG');
});

test('without room GET says so before an upgrade is refused', async (t) => {
  const { listen, get } = await world(t, { maxListeners: 1 });
  const raw = listen();
  await raw.upgrade('');
  const full = await get('/changefeeds');
  t.equal(full.status, 503);
  await listen()
    .upgrade('')
    .then(
      () => t.fail('it was upgraded'),
      (error) => t.equal(error.message, 'connection ended'),
    );
});

test('a socket that never registers is closed', async (t) => {
  const { listen } = await world(t, { registerMs: 20 });
  const raw = listen();
  await raw.upgrade('');
  await raw.frame().then(
    () => t.fail('it got a frame'),
    (error) => t.equal(error.message, 'connection ended'),
  );
});
