// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What every change of an AIP has in common: who asks, on which condition, and
 * whether it was done before. The batch that a verb builds gets the audit
 * entry and the row of the Idempotency-Key from here.
 */

import type { AipState } from '#lib/model/aip.js';
import { type Built, type Changes, commit, merge } from '../commit.js';
import type { NapiContext } from '../context.js';
import {
  type AuditAction,
  type AuditCaller,
  auditRow,
  SYSTEM,
} from './audit.js';
import { lookOnce, type OnceKey } from './once.js';
import { type AipAnswer, type AipRecord, answerOf } from './record.js';

/** How a change is asked for; everything may be left out. */
export interface Asked {
  caller?: AuditCaller;
  once?: OnceKey | undefined;
  /** Sees the etag that the change will be made on; may throw, for If-Match. */
  check?: (etag: string) => void;
  /** The state of a record whose target stays as it is. */
  state?: (record: AipRecord) => AipState;
}

/** What a verb decided: null changes need nothing done. */
export interface Done {
  changes: Changes | null;
  action: AuditAction;
  /** After the change, or as it was before its deletion. */
  record: AipRecord;
  /** The state to answer with; null for an answer without a body. */
  state: AipState | null;
}

/**
 * Builds and commits one change, unless it was done before.
 * @param build as for `commit`: decides afresh in each attempt
 * @returns the answer, the first one's for a repetition
 * @throws ServiceError 422 IdempotencyKeyReused, and what `build` throws
 */
export async function change(
  ctx: NapiContext,
  asked: Asked,
  build: () => Promise<Done>,
): Promise<AipAnswer | null> {
  return commit(ctx, async (): Promise<Built<AipAnswer | null>> => {
    const once = await lookOnce(ctx, asked.once);
    const nothing: Changes = { requests: [], events: [] };
    if (once.done !== undefined) {
      return { changes: nothing, result: once.done };
    }
    const { changes, action, record, state } = await build();
    const result = state === null ? null : answerOf(record, state);
    const row = { requests: once.row(result), events: [] };
    if (changes === null) return { changes: row, result };
    const entry = auditRow(ctx, record, action, asked.caller ?? SYSTEM);
    const audit = { requests: [entry], events: [] };
    return { changes: merge(changes, audit, row), result };
  });
}
