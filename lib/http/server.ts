// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The HTTP server of every service: restify for the routes, our own plain
 * Request and Reply for the handlers (the only file that imports restify).
 *
 * A request passes, in this order, as in restify 4 and so in NAPI and
 * CloudAPI (facts: triton-napi 1.1, cloudapi 1.1):
 *
 *   route (404, 405) -> version (400) -> accept (406) -> body (413, 400)
 *     -> before hooks -> handler
 *
 * The first four answer without the headers that `options.headers` gives; what
 * a hook or a handler produced, errors included, carries them. One line is
 * logged for each request; bodies never are.
 */

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server as TlsServer } from 'node:tls';
import restify from 'restify';
import { type Clock, systemClock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import type { Logger } from '#lib/service/log.js';
import { readBody } from './body.js';
import { answerAndLinger, mustLinger } from './linger.js';
import { checkAccept, checkVersion } from './negotiate.js';
import { render } from './reply.js';
import { isUnexpected, replyError } from './reply-error.js';
import { type Matched, mergeParams, toRequest } from './request.js';
import type { TlsSource } from './tls.js';
import type {
  HttpServer,
  Method,
  Reply,
  Request,
  Route,
  ServerOptions,
} from './types.js';

type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** How long a closing server waits for requests that are under way. */
const CLOSE_GRACE_MS = 5000;
const MAX_PARAMETER = 512;

/**
 * @param options name, order of parameters, versions, limits and hooks
 * @returns a server without routes that does not listen yet
 */
export function createHttpServer(options: ServerOptions): HttpServer {
  const clock = options.clock ?? systemClock();
  const server = restify.createServer({
    name: options.name,
    // restify only calls `trace` and `warn`, which bunyan has as well as pino.
    log: quiet(options.log) as never,
    ...({ maxParamLength: MAX_PARAMETER } as object),
    ...(options.tls === undefined ? {} : secured(options.tls)),
  });
  if (options.tls !== undefined) renew(server, options.tls);
  // restify repeats its inner server's errors; `listen` rejects with them.
  server.on('error', (error: Error) =>
    options.log.debug({ err: error }, 'HTTP server error'),
  );
  const state: State = { clock, closing: false };
  const refuse = (_request: unknown, socket: Duplex) => socket.destroy();
  const upgraded = new Set<Duplex>();
  server.on('upgrade', refuse);
  server.on('upgrade', (_request: unknown, socket: Duplex) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
  });
  server.on(
    'restifyError',
    (req: restify.Request, res: restify.Response, error: Error, done) => {
      const exchange = start(options, state, req, { route: {} });
      finish(exchange, res, replyError(routingError(req, error)));
      done();
    },
  );
  return {
    add: (routes) => addRoutes(server, options, state, routes),
    listen: (host, port) => listen(server, host, port),
    onUpgrade(listener: Upgrade) {
      server.removeListener('upgrade', refuse);
      server.on('upgrade', listener);
    },
    close() {
      state.closing = true;
      return close(server, clock, upgraded);
    },
  };
}

/** restify's names for TLS. */
function secured(tls: TlsSource): object {
  const { cert, key, ca } = tls.current();
  const authorities = { ca, requestCert: true, rejectUnauthorized: true };
  return { certificate: cert, key, ...(ca === undefined ? {} : authorities) };
}

/** Each connection begins with the files as they are. */
function renew(server: restify.Server, tls: TlsSource): void {
  const inner = server.server as unknown as TlsServer;
  let taken = tls.current();
  inner.prependListener('connection', () => {
    const current = tls.current();
    if (current !== taken) inner.setSecureContext({ ...current });
    taken = current;
  });
}

/** restify would trace whole requests, whose headers hold signatures. */
function quiet(log: Logger): Logger {
  const own = log.child({ component: 'restify' });
  own.level('warn');
  return own;
}

interface State {
  clock: Clock;
  /** Each connection ends with the answer that it waits for. */
  closing: boolean;
}

/** One request on its way. */
interface Exchange {
  options: ServerOptions;
  state: State;
  request: Request;
  started: number;
}

function start(
  options: ServerOptions,
  state: State,
  req: IncomingMessage,
  matched: Omit<Matched, 'routeName'> & { routeName?: string },
): Exchange {
  const request = toRequest(
    req,
    { routeName: matched.routeName, route: matched.route },
    options.log,
  );
  const hop = request.headers['x-forwarded-for']?.split(',').at(-1)?.trim();
  if (options.forwarded === true && hop) request.remoteAddress = hop;
  return { options, state, request, started: state.clock.monotonic() };
}

function addRoutes(
  server: restify.Server,
  options: ServerOptions,
  state: State,
  routes: Route[],
): void {
  const verbs = {
    GET: 'get',
    HEAD: 'head',
    POST: 'post',
    PUT: 'put',
    DELETE: 'del',
  } as const;
  for (const route of routes) {
    for (const method of methodsOf(route)) {
      const name = `${method.toLowerCase()}${route.name}`;
      server[verbs[method]](
        { name, path: route.path },
        (req: restify.Request, res: restify.Response, next: restify.Next) => {
          const exchange = start(options, state, req, {
            routeName: route.name,
            route: req.params as Record<string, string>,
          });
          answer(exchange, req, route)
            .then((reply) => finish(exchange, res, reply))
            .catch((error: unknown) => broken(exchange, res, error))
            .finally(() => next());
        },
      );
    }
  }
}

function methodsOf(route: Route): Method[] {
  return Array.isArray(route.method) ? route.method : [route.method];
}

async function answer(
  exchange: Exchange,
  message: IncomingMessage,
  route: Route,
): Promise<Reply> {
  const { options, request, state } = exchange;
  try {
    checkVersion(request, route.versions ?? options.versions);
    checkAccept(request);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      request.body = await readBody(message, options.maxBodyBytes, state.clock);
    }
  } catch (error) {
    return failed(request, error);
  }
  request.params = mergeParams(request, options.precedence);
  let reply: Reply;
  try {
    for (const hook of options.before ?? []) await hook(request);
    reply = await route.handler(request);
  } catch (error) {
    reply = failed(request, error, options.explain?.(error));
  }
  return {
    ...reply,
    headers: { ...options.headers?.(request), ...reply.headers },
  };
}

/** @param told what to answer with, when that is not the error itself */
function failed(request: Request, error: unknown, told = error): Reply {
  if (isUnexpected(error)) {
    request.log.error({ err: error }, 'request failed unexpectedly');
  }
  return replyError(told);
}

function finish(exchange: Exchange, res: ServerResponse, reply: Reply): void {
  const { options, request, state } = exchange;
  const elapsedMs = Math.round(state.clock.monotonic() - exchange.started);
  const written = render(reply, options.contentMd5 ?? false);
  res.setHeader(options.idHeader ?? 'x-request-id', request.id);
  res.setHeader(options.elapsedHeader ?? 'x-response-time', elapsedMs);
  for (const [name, value] of Object.entries(written.headers)) {
    res.setHeader(name, value);
  }
  if (state.closing) res.setHeader('Connection', 'close');
  if (reply.stream === undefined) {
    if (mustLinger(res)) answerAndLinger(res, written, state.clock);
    else (res as restify.Response).sendRaw(written.status, written.body);
  } else {
    pour(reply.stream, written.status, res).catch((err) => {
      request.log.error({ err }, 'stream broke off');
      res.destroy();
    });
  }
  options.onReply?.({
    method: request.method,
    routeName: request.routeName,
    status: written.status,
    elapsedMs,
  });
  request.log.info(
    {
      component: 'audit',
      method: request.method,
      url: withoutSignature(request.url),
      route: request.routeName,
      remote: request.remoteAddress,
      status: written.status,
      latency: elapsedMs,
      ...options.audit?.(request),
      ...(written.status >= 400 ? { error: reply.body } : {}),
    },
    'handled',
  );
}

/** A URL that was signed is a credential until it expires. */
function withoutSignature(url: string): string {
  return url.replace(/([?&]signature=)[^&]*/gi, '$1*');
}

/**
 * Writes a body that comes bit by bit, as fast as it is read.
 */
async function pour(
  stream: NonNullable<Reply['stream']>,
  status: number,
  res: ServerResponse,
): Promise<void> {
  const listening = new AbortController();
  res.once('close', () => listening.abort());
  res.statusCode = status;
  res.setHeader('Content-Type', stream.type);
  // restify takes a reply without headers for one that was forgotten.
  res.flushHeaders();
  for await (const bit of stream.open(listening.signal)) {
    if (listening.signal.aborted) return;
    if (bit.length > 0 && !res.write(bit)) {
      await once(res, 'drain', { signal: listening.signal }).catch(() => {});
    }
  }
  res.end();
}

/** A reply that cannot be written, such as a header value with a newline. */
function broken(exchange: Exchange, res: ServerResponse, error: unknown): void {
  exchange.request.log.error({ err: error }, 'reply could not be written');
  if (!res.headersSent) {
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    finish(exchange, res, replyError(error));
  } else {
    res.destroy();
  }
}

function routingError(req: IncomingMessage, error: Error): unknown {
  const status = (error as { statusCode?: number }).statusCode;
  if (status === 405) {
    return new ServiceError(405, {
      code: 'MethodNotAllowedError',
      message: `${req.method} is not allowed`,
    });
  }
  if (status === 404) {
    return new ServiceError(404, {
      code: 'ResourceNotFound',
      message: `${(req.url ?? '').split('?', 1)[0]} does not exist`,
    });
  }
  return error;
}

function listen(
  server: restify.Server,
  host: string,
  port: number,
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.server.once('error', reject);
    server.listen(port, host, () => {
      server.server.removeListener('error', reject);
      const bound = server.server.address() as AddressInfo;
      resolve({ host: bound.address, port: bound.port });
    });
  });
}

function close(
  server: restify.Server,
  clock: Clock,
  upgraded: Set<Duplex>,
): Promise<void> {
  const { server: inner } = server;
  if (!inner.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const force = clock.after(CLOSE_GRACE_MS, () => {
      inner.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
    });
    const idle = clock.every(50, () => inner.closeIdleConnections());
    inner.close(() => {
      force.cancel();
      idle.cancel();
      resolve();
    });
    inner.closeIdleConnections();
  });
}
