// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The publishing side: takes upgrades, reads registrations, and feeds each
 * listener from the journal at commit. See index.ts for the whole picture.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import type { Route } from '#lib/http/types.js';
import { bestVersion } from '#lib/http/version-range.js';
import type { Logger } from '#lib/service/log.js';
import type { Journal } from '#lib/store/types.js';
import {
  closeReason,
  encodeAnswer,
  parseRegistration,
  type Registration,
  type Resource,
} from './frames.js';
import { Listener, Published } from './listener.js';

export interface PublisherLimits {
  /** Sockets, registered or not. Default 4096. */
  maxListeners?: number;
  /** Largest frame that a listener may send. Default 64 KiB. */
  maxFrameBytes?: number;
  /** What may wait for one listener. Defaults 8 MiB and 20,000 items. */
  maxQueuedBytes?: number;
  maxQueuedItems?: number;
  /** How long a socket may stay unregistered. Default 30 s. */
  registerMs?: number;
  /** Between heartbeats to our own subscribers. Default 1 s. */
  heartbeatMs?: number;
  /** Journal entries that are kept for those who resume. Default 100,000. */
  keepEntries?: number;
}

export interface PublisherOptions {
  journal: Journal;
  resources: Resource[];
  log: Logger;
  clock: Clock;
  limits?: PublisherLimits;
}

export interface Publisher {
  /** GET /changefeeds and GET /changefeeds/stats. */
  routes(): Route[];
  /** Takes an upgrade, whatever its path; for `HttpServer.onUpgrade`. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Registered listeners. */
  listeners(): number;
  /** Closes all listeners and leaves the journal. */
  stop(): Promise<void>;
}

const VERSIONS = ['1.0.0', '2.0.0'];
const COMPACT_MS = 60_000;
const KEEP_ALIVE_MS = 30_000;
const STOP_GRACE_MS = 1000;

/**
 * @param options journal to publish from and resources to offer
 * @returns a publisher that is already following the journal
 */
export function createPublisher(options: PublisherOptions): Publisher {
  return new JournalPublisher(options);
}

class JournalPublisher implements Publisher {
  readonly #options: PublisherOptions;
  readonly #limits: Required<PublisherLimits>;
  readonly #resources: Map<string, Resource>;
  /** By resource and instance, as the protocol has it. */
  readonly #registered = new Map<string, Map<string, Listener>>();
  readonly #listeners = new Map<WebSocket, Listener>();
  readonly #sockets = new Set<WebSocket>();
  readonly #server: WebSocketServer;
  readonly #release: (() => void)[];
  #stopping = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#limits = {
      maxListeners: 4096,
      maxFrameBytes: 64 * 1024,
      maxQueuedBytes: 8 * 1024 * 1024,
      maxQueuedItems: 20_000,
      registerMs: 30_000,
      heartbeatMs: 1000,
      keepEntries: 100_000,
      ...options.limits,
    };
    this.#resources = new Map(
      options.resources.map((resource) => [resource.resource, resource]),
    );
    for (const name of this.#resources.keys()) {
      this.#registered.set(name, new Map());
    }
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: this.#limits.maxFrameBytes,
      // A subprotocol that is asked for is not taken up.
      handleProtocols: () => false,
    });
    const { journal, clock } = options;
    const beat = clock.every(this.#limits.heartbeatMs, () => this.#beat());
    const compact = clock.every(COMPACT_MS, () => this.#compact());
    this.#release = [
      journal.onCommit((entries) => {
        const published = entries.map((entry) => new Published(entry));
        for (const listener of this.#listeners.values()) {
          listener.offer(published);
        }
      }),
      () => beat.cancel(),
      () => compact.cancel(),
    ];
  }

  routes(): Route[] {
    return [
      {
        method: 'GET',
        path: '/changefeeds',
        name: 'getchangefeeds',
        versions: VERSIONS,
        handler: () => {
          // A real listener asks this first, and hangs for ever when it is
          // answered and its upgrade then refused (facts: triton-napi 10.5).
          if (this.#full()) {
            throw new ServiceError(503, {
              code: 'ServiceUnavailableError',
              message: 'no room for another changefeed listener',
            });
          }
          return { status: 200, body: Object.fromEntries(this.#resources) };
        },
      },
      {
        method: 'GET',
        path: '/changefeeds/stats',
        name: 'getchangefeedstats',
        versions: VERSIONS,
        handler: () => ({ status: 200, body: this.#stats() }),
      },
    ];
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (this.#full()) {
      this.#options.log.warn('changefeed upgrade refused: no room');
      socket.destroy();
      return;
    }
    (socket as Socket).setKeepAlive?.(true, KEEP_ALIVE_MS);
    const version = registrationVersion(request.headers['accept-version']);
    this.#server.handleUpgrade(request, socket, head, (ws) =>
      this.#accept(ws, version),
    );
  }

  listeners(): number {
    return this.#listeners.size;
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const release of this.#release) release();
    await Promise.all(
      [...this.#sockets].map(
        (ws) =>
          new Promise<void>((resolve) => {
            // A peer that is gone answers no CLOSE frame.
            const force = setTimeout(() => ws.terminate(), STOP_GRACE_MS);
            ws.once('close', () => {
              clearTimeout(force);
              resolve();
            });
            ws.close(1001, 'publisher stops');
          }),
      ),
    );
  }

  #full(): boolean {
    return this.#stopping || this.#sockets.size >= this.#limits.maxListeners;
  }

  #accept(ws: WebSocket, version: 1 | 2): void {
    const { clock, log } = this.#options;
    this.#sockets.add(ws);
    const deadline = clock.after(this.#limits.registerMs, () => ws.terminate());
    ws.on('error', (error) => log.debug({ err: error }, 'listener failed'));
    ws.on('close', () => {
      deadline.cancel();
      this.#sockets.delete(ws);
      this.#forget(ws);
    });
    const first = (data: Buffer, isBinary: boolean) => {
      if (isBinary) return;
      // Later frames, such as the text `heartbeat`, are not read.
      ws.off('message', first);
      deadline.cancel();
      this.#register(ws, data.toString('utf8'), version);
    };
    ws.on('message', first);
  }

  #register(ws: WebSocket, text: string, version: 1 | 2): void {
    const { journal, clock, log } = this.#options;
    const parsed = parseRegistration(text, version, this.#resources);
    if ('reason' in parsed) {
      log.warn({ reason: parsed.reason }, 'changefeed registration refused');
      ws.close(1000, closeReason(parsed.reason));
      const force = clock.after(this.#limits.registerMs, () => ws.terminate());
      ws.once('close', () => force.cancel());
      return;
    }
    const { registration } = parsed;
    const position = journal.position();
    const from = resumePoint(registration, journal);
    const listener = new Listener({
      socket: ws,
      registration,
      journal,
      from: from ?? position,
      maxQueuedBytes: this.#limits.maxQueuedBytes,
      maxQueuedItems: this.#limits.maxQueuedItems,
      clock,
      log,
    });
    this.#enter(ws, listener);
    const extended =
      registration.extension === undefined
        ? undefined
        : { position, resumed: from !== null };
    ws.send(encodeAnswer(registration, this.#resources, extended));
    listener.catchUp();
    log.info(
      {
        instance: registration.instance,
        service: registration.service,
        resources: registration.resources.map(({ resource }) => resource),
        ...extended,
      },
      'changefeed listener registered',
    );
  }

  /** A registration replaces what its instance had for each resource. */
  #enter(ws: WebSocket, listener: Listener): void {
    const { instance, resources } = listener.registration;
    for (const { resource } of resources) {
      const instances = this.#registered.get(resource);
      const older = instances?.get(instance);
      instances?.set(instance, listener);
      if (older === undefined || older.drop(resource)) continue;
      // A real listener is left in silence, as by the real publisher: closed,
      // it would return and replace its replacement, for ever.
      if (older.registration.extension !== undefined) {
        older.close(1000, 'replaced by a newer registration');
      }
    }
    this.#listeners.set(ws, listener);
  }

  #forget(ws: WebSocket): void {
    const listener = this.#listeners.get(ws);
    if (listener === undefined) return;
    listener.closed();
    this.#listeners.delete(ws);
    const { instance } = listener.registration;
    for (const instances of this.#registered.values()) {
      if (instances.get(instance) === listener) instances.delete(instance);
    }
  }

  #beat(): void {
    for (const listener of this.#listeners.values()) listener.heartbeat();
  }

  #compact(): void {
    const { journal, log } = this.#options;
    const upTo = journal.position() - this.#limits.keepEntries;
    if (upTo <= journal.horizon()) return;
    journal.compact(upTo).catch((error: unknown) => {
      log.error({ err: error }, 'journal cannot be compacted');
    });
  }

  #stats(): object {
    const registrations = [...this.#registered].map(
      ([resource, instances]): [string, object] => [
        resource,
        Object.fromEntries(
          [...instances].map(([instance, listener]) => [
            instance,
            {
              ...listener.registration.resources.find(
                (want) => want.resource === resource,
              ),
              ...listener.stats(),
            },
          ]),
        ),
      ],
    );
    return {
      listeners: this.#resources.size,
      registrations: Object.fromEntries(registrations),
    };
  }
}

/** Where to resume from; null when that is not asked for or not possible. */
function resumePoint(
  registration: Registration,
  journal: Journal,
): number | null {
  const resume = registration.extension?.resume ?? null;
  if (resume === null) return null;
  return resume >= journal.horizon() && resume <= journal.position()
    ? resume
    : null;
}

/** v1 unless the range leaves version 1 out (facts: triton-napi 10.2). */
function registrationVersion(header: string | string[] | undefined): 1 | 2 {
  const range = String(header ?? '*').trim();
  if (range === '*' || range === '') return 1;
  return bestVersion(range, VERSIONS) === '1.0.0' ? 1 : 2;
}
