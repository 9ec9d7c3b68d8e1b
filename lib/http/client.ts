// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The HTTP client that services use among themselves: JSON, keep-alive, one
 * time limit, and errors that are the other side's own ServiceError. GET and
 * HEAD are tried once more after a broken connection, since a keep-alive
 * connection may have been closed under them; nothing else is.
 */

import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type ErrorBody, ServiceError } from '#lib/errors.js';
import type { Logger } from '#lib/service/log.js';
import type { TlsSource } from './tls.js';

export interface HttpClientOptions {
  /** Base URL; its path is put before every path. */
  url: string;
  /** Limit for a whole exchange, in milliseconds. */
  timeoutMs: number;
  /** For an https URL: who is trusted, and who this is. */
  tls?: TlsSource | undefined;
  log?: Logger;
  /** Sent with every request. */
  headers?: Record<string, string>;
  maxBodyBytes?: number;
}

export type QueryValue = string | number | boolean | undefined | string[];

export interface CallOptions {
  query?: Record<string, QueryValue>;
  body?: unknown;
  headers?: Record<string, string>;
  requestId?: string;
  /** Instead of the client's limit, in milliseconds. */
  timeoutMs?: number;
  /**
   * Reads a good answer's body as it comes, whatever its size. The limit is
   * then for each wait, not for the whole exchange.
   */
  read?: (body: AsyncIterable<Uint8Array>) => Promise<unknown>;
}

export interface Answer<T> {
  status: number;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** The parsed JSON, text of another type, or undefined when empty. */
  body: T;
}

const MAX_BODY_BYTES = 256 * 1024 * 1024;

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #base: URL;
  readonly #agent: HttpAgent | HttpsAgent;

  /** @throws TypeError when the URL is not one */
  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#base = new URL(options.url);
    const agent = { keepAlive: true, maxSockets: 64 };
    this.#agent =
      this.#base.protocol === 'https:'
        ? new HttpsAgent(agent)
        : new HttpAgent(agent);
  }

  /**
   * All verbs throw ServiceError: the other side's for a status of 400 and
   * more, 503 ServiceUnavailable when it cannot be reached in time.
   */
  get<T = unknown>(path: string, call: CallOptions = {}): Promise<Answer<T>> {
    return this.#repeatable('GET', path, call);
  }

  head(path: string, call: CallOptions = {}): Promise<Answer<undefined>> {
    return this.#repeatable('HEAD', path, call);
  }

  post<T = unknown>(path: string, call: CallOptions = {}): Promise<Answer<T>> {
    return this.#call('POST', path, call);
  }

  put<T = unknown>(path: string, call: CallOptions = {}): Promise<Answer<T>> {
    return this.#call('PUT', path, call);
  }

  del<T = unknown>(path: string, call: CallOptions = {}): Promise<Answer<T>> {
    return this.#call('DELETE', path, call);
  }

  /** Closes idle connections; calls under way fail. */
  close(): void {
    this.#agent.destroy();
  }

  async #repeatable<T>(
    method: string,
    path: string,
    call: CallOptions,
  ): Promise<Answer<T>> {
    try {
      return await this.#call<T>(method, path, call);
    } catch (error) {
      if (!(error instanceof Unreachable) || error.timedOut) throw error;
      return await this.#call<T>(method, path, call);
    }
  }

  #call<T>(
    method: string,
    path: string,
    call: CallOptions,
  ): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      const url = target(this.#base, path, call.query);
      const payload =
        call.body === undefined ? undefined : JSON.stringify(call.body);
      const limitMs = call.timeoutMs ?? this.#options.timeoutMs;
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request: ClientRequest = send(url, {
        method,
        agent: this.#agent as HttpAgent,
        ...this.#options.tls?.current(),
        headers: this.#headers(call, payload),
        ...(call.read ? {} : { signal: AbortSignal.timeout(limitMs) }),
      });
      const fail = (error: Error) =>
        reject(this.#unreachable(url, error, limitMs));
      request.on('error', fail);
      if (call.read) {
        request.setTimeout(limitMs, () =>
          request.destroy(new DOMException('no more bytes', 'TimeoutError')),
        );
      }
      request.on('response', (response) => {
        if (call.read && (response.statusCode ?? 500) < 400) {
          const { status, headers } = headOf(response);
          call
            .read(response)
            .then(
              (body) => resolve({ status, headers, body: body as T }),
              fail,
            );
          return;
        }
        const limit = this.#options.maxBodyBytes ?? MAX_BODY_BYTES;
        readText(response, limit).then((text) => {
          const answer = toAnswer<T>(response, text);
          if (answer instanceof ServiceError) reject(answer);
          else resolve(answer);
        }, fail);
      });
      request.end(payload);
    });
  }

  #headers(
    call: CallOptions,
    payload: string | undefined,
  ): Record<string, string> {
    return {
      accept: 'application/json, text/plain;q=0.5',
      ...(payload === undefined
        ? {}
        : {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(payload)),
          }),
      ...(call.requestId === undefined
        ? {}
        : { 'x-request-id': call.requestId }),
      ...this.#options.headers,
      ...call.headers,
    };
  }

  #unreachable(url: URL, error: Error, limitMs: number): ServiceError {
    const timedOut =
      error.name === 'TimeoutError' ||
      (error.cause as Error | undefined)?.name === 'TimeoutError';
    const why = timedOut
      ? `no answer within ${limitMs} ms`
      : error.message || String((error as NodeJS.ErrnoException).code);
    this.#options.log?.debug({ err: error, url: url.href }, 'call failed');
    return new Unreachable(`${url.origin}: ${why}`, timedOut);
  }
}

/** The other side gave no answer, as opposed to a 503 that it sent. */
class Unreachable extends ServiceError {
  readonly timedOut: boolean;
  constructor(message: string, timedOut: boolean) {
    super(503, { code: 'ServiceUnavailable', message });
    this.timedOut = timedOut;
  }
}

function target(
  base: URL,
  path: string,
  query: Record<string, QueryValue> = {},
): URL {
  const url = new URL(base.pathname.replace(/\/$/, '') + path, base);
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) {
      url.searchParams.append(name, String(item));
    }
  }
  return url;
}

async function readText(
  response: IncomingMessage,
  limit: number,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += (chunk as Buffer).length;
    if (size > limit) throw new Error(`answer is longer than ${limit} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function headOf(response: IncomingMessage): Omit<Answer<never>, 'body'> {
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  );
  return { status: response.statusCode ?? 0, headers };
}

function toAnswer<T>(
  response: IncomingMessage,
  text: string,
): Answer<T> | ServiceError {
  const { status, headers } = headOf(response);
  const isJson = (headers['content-type'] ?? '').startsWith('application/json');
  let body: unknown = text === '' ? undefined : text;
  if (isJson && text !== '') {
    try {
      body = JSON.parse(text);
    } catch {
      return new ServiceError(502, {
        code: 'InvalidContent',
        message: `the answer with status ${status} is not JSON`,
      });
    }
  }
  if (status < 400) return { status, headers, body: body as T };
  return new ServiceError(status, errorBody(status, body));
}

function errorBody(status: number, body: unknown): ErrorBody {
  if (typeof body === 'object' && body !== null && 'message' in body) {
    return { code: 'InternalError', ...body } as ErrorBody;
  }
  return { code: 'InternalError', message: `answered with status ${status}` };
}
