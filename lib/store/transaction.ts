// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One caller's atomic piece of work: it reads what is committed, what went
 * before it in the same group, and its own writes. Nothing of it exists for
 * anybody else until its group is on the disk.
 */

import { overlay, type Reader, type Writes } from './reader.js';
import type { JournalEntry, JournalEvent } from './types.js';

export interface Transaction extends Reader {
  /** Milliseconds since the epoch: the `_mtime` of what it writes. */
  readonly now: number;
  /** The journal's position after what was appended so far. */
  position(): number;
  set(key: string, value: string): void;
  remove(key: string): void;
  append(events: JournalEvent[]): void;
  /** As `append`, numbered and timed already (a copy). */
  restore(entries: JournalEntry[]): void;
  /** Numbers go on after this one, for a copy of a journal. */
  startAfter(seq: number): void;
}

/** A transaction with what it has done so far. */
export interface OpenTransaction {
  readonly txn: Transaction;
  readonly writes: Writes;
  readonly entries: JournalEntry[];
}

/**
 * @param base what is committed
 * @param before writes of the group so far
 * @param position the journal's position after the group so far
 * @param now milliseconds since the epoch
 */
export function openTransaction(
  base: Reader,
  before: Writes,
  position: number,
  now: number,
): OpenTransaction {
  const writes: Writes = new Map();
  const entries: JournalEntry[] = [];
  let started = position;
  const txn: Transaction = {
    ...overlay(base, [before, writes]),
    now,
    position: () => started + entries.length,
    set: (key, value) => void writes.set(key, value),
    remove: (key) => void writes.set(key, null),
    append(events) {
      for (const event of events) {
        const seq = txn.position() + 1;
        entries.push({ ...event, seq, published: now });
      }
    },
    restore: (more) => void entries.push(...more),
    startAfter(seq) {
      started = seq;
    },
  };
  return { txn, writes, entries };
}
