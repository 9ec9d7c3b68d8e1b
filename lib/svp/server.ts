// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: an SVP server in portolan's role, for any backend.
 *
 * Purpose: answer SVP version 1 exactly as varpd expects it (facts:
 * svp-portolan-vxlnat 1), from a `Backend` that knows the rows.
 *
 * Invariants:
 *  - Each connection gets its answers in the order of its requests, one
 *    request at a time: a LOG_REQ that follows a LOG_RM sees it done.
 *  - Nothing grows without bound. A connection whose requests wait, or that
 *    does not read its answers, is not read from until it has caught up;
 *    connections above the limit are refused.
 *  - Bytes that are not SVP close their own connection, counted, and no other.
 *    So does a message that only a server sends.
 *  - PING is always answered, whatever its version: later clients ask with it
 *    which version they may use, and the PONG says 1 (1.5).
 *  - BULK has no defined answer; it gets the status that says so.
 *
 * Failure: a backend that throws becomes status FATAL for that request, which
 * clients drop and ask again; the log has the error.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { Ipv4 } from '#lib/net/ipv4.js';
import { type Mac, mac } from '#lib/net/mac.js';
import type { Logger } from '#lib/service/log.js';
import { decodeMessage, encodeMessage, logAckBytes } from './codec.js';
import { createFramer } from './framer.js';
import {
  type LogRecord,
  SVP_MAX_BODY,
  type SvpFrame,
  type SvpMessage,
  SvpProtocolError,
  SvpStatus,
  type Vl2Answer,
  type Vl3Answer,
} from './messages.js';

/** What a server answers from. Null is "not found". */
export interface SvpBackend {
  vl2(vnet: number, mac: Mac): Promise<Vl2Answer>;
  vl3(vnet: number, ip: Ipv4): Promise<Vl3Answer>;
  /**
   * The oldest shootdowns of the node with this underlay IP, as many as fit.
   * @param maxBytes of the whole answer body, its status word included (G3)
   * @returns null when no node has this address
   */
  logRequest(ip: Ipv4, maxBytes: number): Promise<LogRecord[] | null>;
  /** Resolves when all are gone; one that is gone already is no error. */
  logRemove(ids: string[]): Promise<void>;
}

export interface SvpLimits {
  maxConnections: number;
  /** Requests of one connection that may wait before it is not read from. */
  maxWaiting: number;
  maxBody: number;
}

export interface SvpServerOptions {
  backend: SvpBackend;
  log: Logger;
  limits?: Partial<SvpLimits>;
}

/** Since the start; `requests` by opcode name. */
export interface SvpCounters {
  connections: number;
  connections_total: number;
  connections_refused: number;
  protocol_errors: Record<string, number>;
  requests: Record<string, number>;
  not_found: number;
  fatal: number;
}

export interface SvpServer {
  /** Port 0 picks a free one. Resolves to the bound address. */
  listen(host: string, port: number): Promise<{ host: string; port: number }>;
  counters(): SvpCounters;
  /** Stops listening and ends all connections. */
  close(): Promise<void>;
}

const LIMITS: SvpLimits = {
  maxConnections: 4096,
  maxWaiting: 256,
  maxBody: SVP_MAX_BODY,
};

function count(into: Record<string, number>, name: string): void {
  into[name] = (into[name] ?? 0) + 1;
}

/** The answer that says "I failed" to each request that can be told so. */
function fatalAnswer(request: SvpMessage): SvpMessage {
  const status = SvpStatus.fatal;
  switch (request.op) {
    case 'vl2_req':
      return { op: 'vl2_ack', status, ip: null, port: 0 };
    case 'vl3_req':
      return { op: 'vl3_ack', status, mac: mac(0), ip: null, port: 0 };
    case 'log_req':
      return { op: 'log_ack', status, records: [] };
    default:
      return { op: 'log_rm_ack', status };
  }
}

async function answerVl2(
  backend: SvpBackend,
  request: Extract<SvpMessage, { op: 'vl2_req' }>,
): Promise<SvpMessage> {
  const found = await backend.vl2(request.vnet, request.mac);
  const status = found === null ? SvpStatus.not_found : SvpStatus.ok;
  const { ip = null, port = 0 } = found ?? {};
  return { op: 'vl2_ack', status, ip, port };
}

async function answerVl3(
  backend: SvpBackend,
  request: Extract<SvpMessage, { op: 'vl3_req' }>,
): Promise<SvpMessage> {
  // The type is not looked at: varpd sends 2 with a v4-mapped address (G1).
  const found =
    request.ip === null ? null : await backend.vl3(request.vnet, request.ip);
  const status = found === null ? SvpStatus.not_found : SvpStatus.ok;
  const none = { mac: mac(0), ip: null, port: 0 };
  return { op: 'vl3_ack', status, ...(found ?? none) };
}

async function answerLog(
  backend: SvpBackend,
  request: Extract<SvpMessage, { op: 'log_req' }>,
): Promise<SvpMessage> {
  const limit = Math.min(request.count, SVP_MAX_BODY);
  const found =
    request.ip === null ? null : await backend.logRequest(request.ip, limit);
  const status = found === null ? SvpStatus.not_found : SvpStatus.ok;
  const records = found ?? [];
  while (records.length > 0 && logAckBytes(records) > limit) records.pop();
  return { op: 'log_ack', status, records };
}

/** @throws SvpProtocolError for a message that only a server sends */
async function answer(
  backend: SvpBackend,
  request: SvpMessage,
): Promise<SvpMessage> {
  switch (request.op) {
    case 'ping':
      return { op: 'pong' };
    case 'vl2_req':
      return answerVl2(backend, request);
    case 'vl3_req':
      return answerVl3(backend, request);
    case 'log_req':
      return answerLog(backend, request);
    case 'log_rm':
      await backend.logRemove(request.ids);
      return { op: 'log_rm_ack', status: SvpStatus.ok };
    case 'bulk_req':
      return {
        op: 'bulk_ack',
        status: SvpStatus.bad_bulk,
        type: request.type,
      };
    default:
      throw new SvpProtocolError('bad_op', `${request.op} from a client`);
  }
}

interface Shared {
  backend: SvpBackend;
  log: Logger;
  limits: SvpLimits;
  counters: SvpCounters;
}

async function answerFrame(shared: Shared, frame: SvpFrame): Promise<Buffer> {
  const { backend, counters, log } = shared;
  const request = decodeMessage(frame);
  count(counters.requests, request.op);
  let reply: SvpMessage;
  try {
    reply = await answer(backend, request);
  } catch (err) {
    if (err instanceof SvpProtocolError) throw err;
    log.error({ err, request }, 'svp: look-up failed');
    reply = fatalAnswer(request);
  }
  if ('status' in reply) {
    if (reply.status === SvpStatus.not_found) counters.not_found++;
    if (reply.status === SvpStatus.fatal) counters.fatal++;
  }
  return encodeMessage(frame.id, reply);
}

/** Serves one connection until it ends. */
function serve(shared: Shared, socket: Socket): void {
  const { counters, limits } = shared;
  const log = shared.log.child({ client: socket.remoteAddress });
  const framer = createFramer(limits.maxBody);
  const waiting: SvpFrame[] = [];
  let busy = false;

  function refuse(error: unknown): void {
    const known = error instanceof SvpProtocolError;
    count(counters.protocol_errors, known ? error.code : 'other');
    log.warn({ err: error }, 'svp: connection closed');
    socket.destroy();
  }

  async function work(): Promise<void> {
    busy = true;
    try {
      for (;;) {
        const frame = waiting.shift();
        if (frame === undefined || socket.destroyed) break;
        const bytes = await answerFrame(shared, frame);
        if (!socket.destroyed && !socket.write(bytes)) await drained(socket);
        if (waiting.length < limits.maxWaiting) socket.resume();
      }
    } catch (error) {
      refuse(error);
    }
    busy = false;
  }

  socket.on('data', (chunk) => {
    try {
      waiting.push(...framer.push(chunk));
    } catch (error) {
      refuse(error);
      return;
    }
    if (waiting.length >= limits.maxWaiting) socket.pause();
    if (!busy) void work();
  });
  socket.on('error', (err) => log.debug({ err }, 'svp: connection broke'));
}

/** Resolves when the socket can take more, or is gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Resolves to where a server is bound. */
function listen(
  server: Server,
  host: string,
  port: number,
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const bound = server.address();
      if (bound === null || typeof bound === 'string') {
        reject(new Error('no address'));
      } else resolve({ host: bound.address, port: bound.port });
    });
  });
}

/**
 * Makes a server; it serves nobody before `listen`.
 * @param options backend, log and limits
 */
export function createSvpServer(options: SvpServerOptions): SvpServer {
  const counters: SvpCounters = {
    connections: 0,
    connections_total: 0,
    connections_refused: 0,
    protocol_errors: {},
    requests: {},
    not_found: 0,
    fatal: 0,
  };
  const limits = { ...LIMITS, ...options.limits };
  const shared = { ...options, limits, counters };
  const sockets = new Set<Socket>();

  const server = createServer((socket) => {
    if (sockets.size >= limits.maxConnections) {
      counters.connections_refused++;
      socket.destroy();
      return;
    }
    sockets.add(socket);
    counters.connections++;
    counters.connections_total++;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on('close', () => {
      sockets.delete(socket);
      counters.connections--;
    });
    serve(shared, socket);
  });

  return {
    listen: (host, port) => listen(server, host, port),
    counters: () => structuredClone(counters),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
