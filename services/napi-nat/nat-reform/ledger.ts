// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The placement ledger: one row that every placement decision advances, with
 * what each zone carries. It is how decisions that read many rows stay right
 * under concurrency: a batch that *depends* on placement guards the row (puts
 * it unchanged, on its etag), a batch that *changes* placement advances it, so
 * of two that overlap one is refused and decides again. Equal content has an
 * equal etag (facts: triton-napi 9.2), so guards do not disturb each other.
 */

import {
  type BatchRequest,
  type BucketConfig,
  isStoreError,
  type Store,
} from '#lib/store/types.js';
import type { Load } from '../placement.js';

export const LEDGER_BUCKET = 'nat_placement';
const LEDGER_KEY = 'current';

export interface LedgerRecord {
  generation: number;
  /** By zone UUID; a zone that carries nothing may be absent. */
  load: Record<string, Load>;
}

/** The row as read: what later writes are conditional on. */
export interface Ledger {
  record: LedgerRecord;
  etag: string | null;
}

export const ledgerBuckets: Record<string, BucketConfig> = {
  [LEDGER_BUCKET]: {
    index: { generation: { type: 'number' } },
    options: { version: 1 },
  },
};

/** Reads the row; an empty one when nothing was ever placed. */
export async function readLedger(store: Store): Promise<Ledger> {
  try {
    const found = await store.getObject<LedgerRecord>(
      LEDGER_BUCKET,
      LEDGER_KEY,
    );
    return { record: found.value, etag: found._etag };
  } catch (error) {
    if (!isStoreError(error, 'ObjectNotFoundError')) throw error;
    return { record: { generation: 0, load: {} }, etag: null };
  }
}

/** What a zone carries. */
export function loadOf(ledger: Ledger, zone: string): Load {
  return ledger.record.load[zone] ?? { fabrics: 0, addresses: 0 };
}

function put(ledger: Ledger, record: LedgerRecord): BatchRequest {
  return {
    bucket: LEDGER_BUCKET,
    key: LEDGER_KEY,
    value: record,
    options: { etag: ledger.etag },
  };
}

/** The request that makes a batch fail if placement changed meanwhile. */
export function guardLedger(ledger: Ledger): BatchRequest {
  return put(ledger, ledger.record);
}

/**
 * The request that records a decision.
 * @param shifts load gained (or, negative, lost) by zones
 */
export function advancedLedger(
  ledger: Ledger,
  shifts: readonly { zone: string; load: Load }[],
): BatchRequest {
  const load = { ...ledger.record.load };
  for (const shift of shifts) {
    const old = load[shift.zone] ?? { fabrics: 0, addresses: 0 };
    const fabrics = old.fabrics + shift.load.fabrics;
    const addresses = old.addresses + shift.load.addresses;
    if (fabrics === 0 && addresses === 0) delete load[shift.zone];
    else load[shift.zone] = { fabrics, addresses };
  }
  return put(ledger, { generation: ledger.record.generation + 1, load });
}

/** A load taken away. */
export function negated(load: Load): Load {
  return { fabrics: -load.fabrics, addresses: -load.addresses };
}
