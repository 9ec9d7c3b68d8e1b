// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * HTTP Signature as stock clients send it: over `date` (smartdc, triton-go) or
 * `(request-target) date` (triton), and the older form of the documentation's
 * curl recipe whose signature follows the parameters (facts: cloudapi 2.1).
 * Parsing and verifying are http-signature's; what it lets through is closed
 * here: a date that cannot be read is refused, and so is any skew over 300 s.
 */

import httpSignature from 'http-signature';
import { ServiceError } from '#lib/errors.js';

/** Largest difference between the signed date and our clock. */
const SKEW_MS = 300_000;

/** CloudAPI's list, less what no library verifies. */
const ALGORITHMS = [
  'rsa-sha1',
  'rsa-sha256',
  'rsa-sha512',
  'dsa-sha1',
  'dsa-sha256',
  'ecdsa-sha256',
  'ecdsa-sha384',
  'ecdsa-sha512',
  'ed25519-sha512',
];

/** The part of a request that is signed. */
export interface SignedRequest {
  method: string;
  /** Raw path with its query. */
  url: string;
  headers: Record<string, string | undefined>;
}

/** A well-formed signature that has not been verified yet. */
export interface ParsedSignature {
  keyId: string;
  algorithm: string;
  /** Whether the key (PEM) made this signature. */
  verify(publicKey: string): boolean;
}

function unauthorized(message: string): ServiceError {
  return new ServiceError(401, { code: 'InvalidCredentials', message });
}

function invalidHeader(message: string): ServiceError {
  return new ServiceError(400, {
    code: 'InvalidHeader',
    message: `Authorization header invalid: ${message}`,
  });
}

/**
 * Reads the Authorization header and checks its date.
 * @param now milliseconds since the epoch
 * @throws ServiceError 401 InvalidCredentials without a usable scheme, 400
 *   InvalidHeader for a malformed header or a date out of the window
 */
export function parseSignature(
  request: SignedRequest,
  now: number,
): ParsedSignature {
  const header = request.headers['authorization']?.trim() ?? '';
  if (header !== '' && !header.includes(' ')) {
    throw invalidHeader('a scheme and its parameters are expected');
  }
  if (!header.startsWith('Signature ')) {
    throw unauthorized('You must make authenticated requests to use CloudAPI');
  }
  checkDate(request, now);
  const parsed = parseHeader(request, header);
  checkParams(parsed.params, now);
  const algorithm = parsed.params.algorithm.toLowerCase();
  if (!ALGORITHMS.includes(algorithm)) {
    throw unauthorized(`${algorithm} is not a supported signing algorithm`);
  }
  return {
    keyId: parsed.params.keyId,
    algorithm,
    verify: (publicKey) => {
      try {
        return httpSignature.verifySignature(parsed, publicKey);
      } catch {
        return false;
      }
    },
  };
}

function checkDate(request: SignedRequest, now: number): void {
  const text = request.headers['x-date'] ?? request.headers['date'];
  if (text === undefined) throw invalidHeader('date was not in the request');
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw invalidHeader(`date "${text}" cannot be read`);
  const skew = Math.abs(now - at);
  if (skew > SKEW_MS) {
    throw invalidHeader(
      `clock skew of ${skew / 1000}s was greater than ${SKEW_MS / 1000}s`,
    );
  }
}

type Parsed = ReturnType<typeof httpSignature.parse>;

/**
 * The parser takes bare digits for any parameter and has no clock but its own:
 * what must be text is text, and `created` and `expires` are held to ours.
 */
function checkParams(params: object, now: number): void {
  const given = params as Record<string, unknown>;
  for (const name of ['keyId', 'algorithm', 'signature']) {
    if (typeof given[name] !== 'string') {
      throw invalidHeader(`${name} must be in quotes`);
    }
  }
  const seconds = (name: string) => {
    const value = given[name];
    if (value === undefined || Number.isInteger(value)) return value as number;
    throw invalidHeader(`${name} must be a whole number of seconds`);
  };
  const [created, expires] = [seconds('created'), seconds('expires')];
  if (created !== undefined && created * 1000 - now > SKEW_MS) {
    throw invalidHeader('created lies in the future');
  }
  if (expires !== undefined && now - expires * 1000 > SKEW_MS) {
    throw invalidHeader('the signature has expired');
  }
}

function parseHeader(request: SignedRequest, header: string): Parsed {
  const old =
    /^Signature keyId="([^"]+)",algorithm="([^"]+)" ([A-Za-z0-9+/=]+)$/.exec(
      header,
    );
  if (old !== null) return oldStyle(request, old);
  try {
    return httpSignature.parse(
      {
        method: request.method,
        url: request.url,
        httpVersion: '1.1',
        headers: request.headers,
      } as unknown as Parameters<typeof httpSignature.parse>[0],
      { clockSkew: Number.MAX_SAFE_INTEGER / 1000 },
    );
  } catch (error) {
    const { message } = error as Error;
    throw invalidHeader(
      error instanceof TypeError ? 'bad param format' : message,
    );
  }
}

/** The 0.9 form signs the bare value of the date header. */
function oldStyle(request: SignedRequest, match: RegExpExecArray): Parsed {
  const [, keyId, algorithm, signature] = match as unknown as string[];
  const value = request.headers['x-date'] ?? request.headers['date'];
  return {
    scheme: 'Signature',
    algorithm: (algorithm as string).toUpperCase(),
    params: { keyId, algorithm, signature, headers: ['date'] },
    signingString: value,
    keyId,
  } as unknown as Parsed;
}
