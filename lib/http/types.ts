// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a service sees of HTTP: plain requests and replies. `server.ts` puts
 * them on restify; handlers stay ordinary functions that tests can call.
 */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import type { TlsSource } from './tls.js';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

export interface Request {
  method: Method;
  /** Raw path with its query, as on the request line. */
  url: string;
  /** Raw path without its query. */
  path: string;
  /** Lower-case header names. */
  headers: Record<string, string | undefined>;
  /** Decoded path parameters. */
  route: Record<string, string>;
  query: Record<string, unknown>;
  /** The parsed body; undefined when there was none or its type is unknown. */
  body: unknown;
  /** The three merged in the order the server was configured with. */
  params: Record<string, unknown>;
  /** Request id: the client's, else a new UUID. */
  id: string;
  remoteAddress: string;
  log: Logger;
  /** The matched route's name, such as `listnetworks`. */
  routeName?: string;
  /** Filled by hooks such as authentication. */
  context: Record<string, unknown>;
}

export interface Reply {
  status: number;
  /** JSON body; absent for an empty one. */
  body?: unknown;
  /** Text body with its own type, such as /metrics. */
  text?: { type: string; content: string };
  /** A body that comes bit by bit; the signal says that nobody listens. */
  stream?: {
    type: string;
    open: (signal: AbortSignal) => AsyncIterable<string | Uint8Array>;
  };
  headers?: Record<string, string>;
}

export type Handler = (request: Request) => Promise<Reply> | Reply;

export interface Route {
  method: Method | Method[];
  /** `/networks/:uuid` style. */
  path: string;
  /** restify's route name, such as `listnetworks`; unique with the method. */
  name: string;
  handler: Handler;
  /** Where they differ from the server's: the changefeed's two routes. */
  versions?: string[];
}

export interface ServerOptions {
  /** Header `Server`. */
  name: string;
  log: Logger;
  /** HTTPS; with `ca` only for clients with such a certificate. */
  tls?: TlsSource | undefined;
  /**
   * Which source wins when one name is in several. NAPI: route, query, body.
   * CloudAPI: body, query, route (facts: triton-napi 1.1, cloudapi 1.1).
   */
  precedence: ('route' | 'query' | 'body')[];
  /** Versions a request's accept-version may ask for; all routes have them. */
  versions: string[];
  maxBodyBytes: number;
  /** Headers added to every reply that a handler or hook produced. */
  headers?: (request: Request) => Record<string, string>;
  /** Run before the handler, after routing; may throw ServiceError. */
  before?: Hook[];
  /** What to answer with instead of what a hook or a handler threw. */
  explain?: (error: unknown) => unknown;
  /** Add Content-MD5 of the body, as CloudAPI does. */
  contentMd5?: boolean;
  /** Name of the header with the request id; default `x-request-id`. */
  idHeader?: string;
  /** Name of the header with milliseconds taken; `x-response-time`. */
  elapsedHeader?: string;
  /** More fields of a request's line in the log, such as who asked. */
  audit?: (request: Request) => Record<string, unknown>;
  /** Behind a proxy: the client is the last address of X-Forwarded-For. */
  forwarded?: boolean;
  /** Told of every finished request, errors included: for metrics. */
  onReply?: (done: Finished) => void;
  /** The system's clock unless a test gives another. */
  clock?: Clock;
}

/** What became of a request. */
export interface Finished {
  method: string;
  /** Undefined when no route matched. */
  routeName: string | undefined;
  status: number;
  elapsedMs: number;
}

/** A hook: may fill `request.context`, may throw. */
export type Hook = (request: Request) => Promise<void> | void;

export interface HttpServer {
  add(routes: Route[]): void;
  /** Port 0 picks a free one. Resolves to the bound address. */
  listen(host: string, port: number): Promise<{ host: string; port: number }>;
  /** Hands HTTP upgrades (WebSocket) to their owner. */
  onUpgrade(
    listener: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
  ): void;
  /** Stops accepting, ends idle connections, resolves when closed. */
  close(): Promise<void>;
}
