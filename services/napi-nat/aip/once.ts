// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `Idempotency-Key` (IETF draft of that name): a request that is sent again
 * after its answer was lost is not done again. The answer is a row of the very
 * batch that did the work, so there is never one without the other; whoever
 * comes second, be it at the same moment, finds the row and gives that answer.
 * What was refused leaves no row and may be tried again.
 */

import { createHash } from 'node:crypto';
import { ServiceError } from '#lib/errors.js';
import {
  type BatchRequest,
  type BucketConfig,
  isStoreError,
} from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import type { AipAnswer } from './record.js';

export const ONCE_BUCKET = 'nat_aip_requests';
/** How long an answer is kept. */
export const ONCE_MS = 86_400_000;

/** What makes two requests the same one. */
export interface OnceKey {
  /** Of owner and key; neither can be read back from it. */
  id: string;
  /** Of what is asked for. */
  request: string;
}

interface OnceRecord {
  request: string;
  /** Null where the answer has no body. */
  answer: AipAnswer | null;
  created: number;
  v: 1;
}

export const onceBuckets: Record<string, BucketConfig> = {
  [ONCE_BUCKET]: {
    index: { created: { type: 'number' }, v: { type: 'number' } },
    options: { version: 1 },
  },
};

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** JSON with its keys in order, so that equal requests have equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(
          Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : each,
  );
}

/**
 * @param owner whose key it is: two owners may choose the same
 * @param asked the validated request, its verb and path included
 */
export function onceKey(owner: string, key: string, asked: object): OnceKey {
  return { id: hash(`${owner}\n${key}`), request: hash(canonical(asked)) };
}

/** What was found under a key, and the row that is to be there. */
export interface Once {
  /** The first answer; undefined when the work is still to be done. */
  done: AipAnswer | null | undefined;
  row(answer: AipAnswer | null): BatchRequest[];
}

/** No key: every request is a new one. */
const NEVER: Once = { done: undefined, row: () => [] };

/**
 * Looks the key up.
 * @throws ServiceError 422 IdempotencyKeyReused for another request's key
 */
export async function lookOnce(
  ctx: Pick<NapiContext, 'store' | 'clock'>,
  key: OnceKey | undefined,
): Promise<Once> {
  if (key === undefined) return NEVER;
  const now = ctx.clock.now();
  const stored = await ctx.store
    .getObject<OnceRecord>(ONCE_BUCKET, key.id)
    .catch((error: unknown) => {
      if (isStoreError(error, 'ObjectNotFoundError')) return null;
      throw error;
    });
  if (stored !== null && now - stored.value.created < ONCE_MS) {
    if (stored.value.request === key.request) {
      return { done: stored.value.answer, row: () => [] };
    }
    throw new ServiceError(422, {
      code: 'IdempotencyKeyReused',
      message: 'Idempotency-Key was used for another request',
    });
  }
  const etag = stored?._etag ?? null;
  return {
    done: undefined,
    row(answer) {
      const { request, id } = key;
      const value: OnceRecord = { request, answer, created: now, v: 1 };
      return [{ bucket: ONCE_BUCKET, key: id, value, options: { etag } }];
    },
  };
}
