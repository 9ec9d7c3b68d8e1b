// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Reading a request's body: bounded, its digest checked, parsed by its type.
 * A type that we do not know is ignored, as restify 4 does: the handler then
 * misses its parameters and says which (facts: triton-napi 1.1, cloudapi 1.3).
 */

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parse as parseForm } from 'node:querystring';
import { ServiceError } from '#lib/errors.js';

/**
 * @param message the request as Node gives it, unread
 * @param limit the most bytes a body may have
 * @returns the parsed body; undefined when there is none or of unknown type
 * @throws ServiceError 413 PayloadTooLargeError, 400 BadDigest, InvalidContent
 */
export async function readBody(
  message: IncomingMessage,
  limit: number,
): Promise<unknown> {
  const bytes = await readBytes(message, limit).catch((error: unknown) => {
    if (error instanceof ServiceError) throw error;
    // Nobody is left to read this; the log is told.
    throw new ServiceError(400, {
      code: 'BadRequestError',
      message: `request was cut off: ${(error as Error).message}`,
    });
  });
  if (bytes.length === 0) return undefined;
  checkDigest(message.headers['content-md5'], bytes);
  const type = (message.headers['content-type'] ?? '')
    .split(';', 1)[0]
    ?.trim()
    .toLowerCase();
  const text = bytes.toString('utf8');
  if (type === 'application/json') return parseJson(text);
  if (type === 'application/x-www-form-urlencoded') {
    return { ...parseForm(text) };
  }
  return undefined;
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

/** The connection is closed after it: the rest of the body is not read. */
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
    throw new ServiceError(400, {
      code: 'InvalidContent',
      message: `Invalid JSON: ${(error as Error).message}`,
    });
  }
}
