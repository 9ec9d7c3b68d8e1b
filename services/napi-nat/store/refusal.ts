// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a client is told when the store refuses. Real NAPI answers 500 with the
 * store's own words (facts: triton-napi 1.2); a client that is told 503 knows
 * that the same request can do better later.
 */

import { notFound, ServiceError } from '#lib/errors.js';
import { StoreError } from '#lib/store/types.js';

const RETRY_AFTER_S = '1';

function unavailable(message: string): ServiceError {
  const code = 'ServiceUnavailableError';
  const headers = { 'Retry-After': RETRY_AFTER_S };
  return new ServiceError(503, { code, message }, headers);
}

/**
 * @param error whatever a handler threw
 * @returns the error to answer with; anything that is not the store's is
 *   itself
 */
export function storeRefusal(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  switch (error.name) {
    case 'NoDatabasePeersError':
    case 'QueryTimeoutError':
      return unavailable('the store is not available');
    case 'LeaseLostError':
      return unavailable('another process leads');
    case 'EtagConflictError':
    case 'UniqueAttributeError':
    case 'ObjectNotFoundError':
      return unavailable('too many changes at once');
    case 'BucketNotFoundError':
      // A network and its addresses went while the request was under way.
      return error.context['bucket']?.startsWith('napi_ips_')
        ? notFound('network not found')
        : error;
    default:
      return error;
  }
}
