// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * If-Match and If-None-Match on the unquoted etags that NAPI sends (facts:
 * triton-napi 1.5). Called by handlers after they found the object.
 */

import { ServiceError } from '#lib/errors.js';
import type { Reply, Request } from './types.js';

/**
 * @param request whose headers may be conditional
 * @param etag the object's; the empty string for an object without a record
 * @returns a 304 reply to send instead of doing the work, or null to go on
 * @throws ServiceError 412 PreconditionFailed
 */
export function conditional(request: Request, etag: string): Reply | null {
  const ifMatch = request.headers['if-match'];
  if (ifMatch !== undefined && !matches(ifMatch, etag)) {
    throw failed(`if-match '${ifMatch}' didn't match etag '${etag}'`);
  }
  const ifNone = request.headers['if-none-match'];
  if (ifNone === undefined || !matches(ifNone, etag)) return null;
  if (request.method === 'GET' || request.method === 'HEAD') {
    return { status: 304, headers: { Etag: etag } };
  }
  throw failed(`if-none-match '${ifNone}' matched etag '${etag}'`);
}

/** Whether the request depends on an etag at all. */
export function isConditional(request: Request): boolean {
  return (
    request.headers['if-match'] !== undefined ||
    request.headers['if-none-match'] !== undefined
  );
}

function matches(header: string, etag: string): boolean {
  return header
    .split(',')
    .filter((item) => item.trim() !== '' || header.trim() === '')
    .map((item) =>
      item
        .trim()
        .replace(/^W\//, '')
        .replace(/^"(.*)"$/, '$1'),
    )
    .some((item) => item === '*' || item === etag);
}

function failed(message: string): ServiceError {
  return new ServiceError(412, { code: 'PreconditionFailed', message });
}
