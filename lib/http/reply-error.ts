// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * From a thrown value to the reply a client sees: a ServiceError says its own
 * status and body, anything else is a bug or a broken dependency and becomes a
 * plain 500 that tells nothing of the inside (facts: triton-napi 1.2).
 */

import { type ErrorBody, ServiceError } from '#lib/errors.js';
import type { Reply } from './types.js';

/**
 * @param error whatever a hook, a handler or the router threw
 * @returns the reply for it; `body` is exactly `{code, message, ...}`
 */
export function replyError(error: unknown): Reply {
  if (error instanceof ServiceError) {
    return { status: error.status, body: error.body, headers: error.headers };
  }
  const body: ErrorBody = { code: 'InternalError', message: 'Internal error' };
  return { status: 500, body };
}

/** Whether the log should hear of this error with its stack. */
export function isUnexpected(error: unknown): boolean {
  return !(error instanceof ServiceError);
}
