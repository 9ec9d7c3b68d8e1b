// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Reading a request's body: bounded, its digest checked, parsed by its type.
 * A type that we do not know is ignored, as restify 4 does: the handler then
 * misses its parameters and says which (facts: triton-napi 1.1, cloudapi 1.3).
 * Text that is not UTF-8 is refused: it would be stored as something else.
 */

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parse as parseForm } from 'node:querystring';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Clock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';

/** How long a body may take to come. */
const PATIENCE_MS = 60_000;

/**
 * @param message the request as Node gives it, unread
 * @param limit the most bytes a body may have
 * @returns the parsed body; undefined when there is none or of unknown type
 * @throws ServiceError 408 when it is too slow; 413 PayloadTooLargeError; 415;
 *   400 BadDigest, InvalidContent
 */
export async function readBody(
  message: IncomingMessage,
  limit: number,
  clock: Clock,
): Promise<unknown> {
  const reading = inTime(readBytes(message, limit), clock);
  const bytes = await reading.catch((error: unknown) => {
    if (error instanceof ServiceError) throw error;
    // Nobody is left to read this; the log is told.
    throw new ServiceError(400, {
      code: 'BadRequestError',
      message: `request was cut off: ${(error as Error).message}`,
    });
  });
  if (bytes.length === 0) return undefined;
  const { headers } = message;
  checkDigest(headers['content-md5'], bytes);
  const plain = await decompress(headers['content-encoding'], bytes, limit);
  const [type = '', ...parameters] = (headers['content-type'] ?? '')
    .split(';')
    .map((piece) => piece.trim().toLowerCase());
  const parse = PARSERS.get(type);
  return parse?.(decode(plain, parameters));
}

const PARSERS = new Map<string, (text: string) => unknown>([
  ['application/json', parseJson],
  ['application/x-www-form-urlencoded', (text) => ({ ...parseForm(text) })],
]);

const inflate = promisify<Buffer, object, Buffer>(gunzip);

/** restify 4 takes gzip as well; ours ends where the limit does. */
async function decompress(
  encoding: string | undefined,
  bytes: Buffer,
  limit: number,
): Promise<Buffer> {
  if (encoding === undefined || /^identity$/i.test(encoding)) return bytes;
  if (!/^(x-)?gzip$/i.test(encoding)) {
    throw unsupported(`Content-Encoding '${encoding}'`);
  }
  try {
    return await inflate(bytes, { maxOutputLength: limit });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit);
    throw invalidContent(`Invalid gzip: ${message}`);
  }
}

function decode(bytes: Buffer, parameters: string[]): string {
  const charset = parameters
    .find((each) => each.startsWith('charset='))
    ?.slice('charset='.length)
    .replaceAll('"', '');
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/.test(charset)) {
    throw unsupported(`charset '${charset}'`);
  }
  try {
    const options = { fatal: true, ignoreBOM: true };
    return new TextDecoder('utf-8', options).decode(bytes);
  } catch {
    throw invalidContent('Invalid content: not UTF-8');
  }
}

function unsupported(what: string): ServiceError {
  return new ServiceError(415, {
    code: 'UnsupportedMediaTypeError',
    message: `${what} is not supported`,
  });
}

function invalidContent(message: string): ServiceError {
  return new ServiceError(400, { code: 'InvalidContent', message });
}

async function readBytes(
  message: IncomingMessage,
  limit: number,
): Promise<Buffer> {
  if (Number(message.headers['content-length'] ?? 0) > limit) {
    throw tooLarge(limit);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    size += (chunk as Buffer).length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function inTime<T>(reading: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(PATIENCE_MS, () => reject(tooSlow()));
    reading.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** The connection is closed after it, and ends the reading. */
function tooSlow(): ServiceError {
  const code = 'RequestTimeoutError';
  const message = 'the request took too long to come';
  return new ServiceError(408, { code, message }, { Connection: 'close' });
}

/** The connection is closed after it: the rest of the body is thrown away. */
function tooLarge(limit: number): ServiceError {
  return new ServiceError(
    413,
    {
      code: 'PayloadTooLargeError',
      message: `Request body size exceeds ${limit}`,
    },
    { Connection: 'close' },
  );
}

function checkDigest(sent: string | string[] | undefined, bytes: Buffer): void {
  if (sent === undefined) return;
  const digest = createHash('md5').update(bytes).digest('base64');
  if (sent === digest) return;
  throw new ServiceError(400, {
    code: 'BadDigest',
    message: `Content-MD5 '${sent}' didn't match '${digest}'`,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidContent(`Invalid JSON: ${(error as Error).message}`);
  }
}
