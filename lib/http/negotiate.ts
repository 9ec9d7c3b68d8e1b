// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a request's headers ask of the server before anything else is looked
 * at: a version and a media type (facts: triton-napi 1.1, cloudapi 1.2, 1.3).
 */

import { ServiceError } from '#lib/errors.js';
import type { Request } from './types.js';
import { bestVersion } from './version-range.js';

const ACCEPTABLE = [
  'application/json',
  'text/plain',
  'application/octet-stream',
  'application/javascript',
];

/**
 * Checks accept-version, else x-api-version, else api-version.
 * @throws ServiceError 400 InvalidVersion
 */
export function checkVersion(request: Request, versions: string[]): void {
  const { headers } = request;
  const range =
    headers['accept-version'] ||
    headers['x-api-version'] ||
    headers['api-version'] ||
    '*';
  if (bestVersion(range, versions) !== null) return;
  throw new ServiceError(400, {
    code: 'InvalidVersion',
    message: `${range} is not supported by ${request.method} ${request.path}`,
  });
}

/**
 * Checks the Accept header; replies are JSON, or text where a route says so.
 * @throws ServiceError 406 NotAcceptableError
 */
export function checkAccept(request: Request): void {
  const accept = request.headers['accept'];
  if (accept === undefined || accept.trim() === '') return;
  if (accept.split(',').some(isAcceptable)) return;
  throw new ServiceError(406, {
    code: 'NotAcceptableError',
    message: `Server accepts: ${ACCEPTABLE.join(',')}`,
  });
}

function isAcceptable(item: string): boolean {
  const [type = '', ...parameters] = item
    .split(';')
    .map((piece) => piece.trim().toLowerCase());
  if (parameters.some((piece) => /^q=0(\.0*)?$/.test(piece))) return false;
  // `json` and `text` are what old Triton clients write for the full names.
  if (type === '*/*' || type === '*' || type === 'json') return true;
  const [family, subtype] = type.split('/');
  return subtype === '*'
    ? ACCEPTABLE.some((known) => known.startsWith(`${family}/`))
    : ACCEPTABLE.includes(type);
}
