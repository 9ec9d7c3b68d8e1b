// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * From restify's request to ours: decoded route, query, and the parameters
 * merged in the order that the service's real counterpart has.
 */

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parse as parseQuery } from 'node:querystring';
import type { Logger } from '#lib/service/log.js';
import type { Method, Request, ServerOptions } from './types.js';

export interface Matched {
  routeName: string | undefined;
  route: Record<string, string>;
}

/**
 * Makes a Request without its body: that is read later, after the checks that
 * need none.
 * @param message as Node gives it
 * @param matched what the router found
 * @param log the server's logger; the request's carries `req_id`
 */
export function toRequest(
  message: IncomingMessage,
  matched: Matched,
  log: Logger,
): Request {
  const url = message.url ?? '/';
  const mark = url.indexOf('?');
  const headers = Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]),
  );
  const id = requestId(headers);
  return {
    method: (message.method ?? 'GET') as Method,
    url,
    path: mark < 0 ? url : url.slice(0, mark),
    headers,
    route: { ...matched.route },
    query: mark < 0 ? {} : { ...parseQuery(url.slice(mark + 1)) },
    body: undefined,
    params: {},
    id,
    remoteAddress: message.socket.remoteAddress ?? '',
    log: log.child({ req_id: id }, true),
    ...(matched.routeName === undefined
      ? {}
      : { routeName: matched.routeName }),
    context: {},
  };
}

/**
 * Merges route, query and body. A body that is an array or a scalar takes the
 * place of all parameters, as restify 4 does, so that a model can say
 * `Parameters must be objects` (facts: triton-napi 1.1).
 * @param precedence earlier sources win
 */
export function mergeParams(
  request: Request,
  precedence: ServerOptions['precedence'],
): Record<string, unknown> {
  const { body } = request;
  const isObject =
    typeof body === 'object' && body !== null && !Array.isArray(body);
  if (Array.isArray(body) || (!isObject && Boolean(body))) {
    return body as Record<string, unknown>;
  }
  const sources = {
    route: request.route,
    query: request.query,
    body: isObject ? body : {},
  };
  const merged = new Map<string, unknown>();
  for (const name of precedence) {
    for (const [key, value] of Object.entries(sources[name])) {
      if (!merged.has(key) || isUnset(merged.get(key), value)) {
        merged.set(key, value);
      }
    }
  }
  return Object.fromEntries(merged);
}

/** restify keeps a value that is set; `false`, `''` and `0` are not. */
function isUnset(current: unknown, next: unknown): boolean {
  return !current && Boolean(next);
}

/** The client's id where it is a sane one, else a new one. */
function requestId(headers: Record<string, string | undefined>): string {
  const sent = headers['request-id'] ?? headers['x-request-id'];
  if (sent !== undefined && /^[\x21-\x7e]{1,128}$/.test(sent)) return sent;
  return randomUUID();
}
