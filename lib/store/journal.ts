// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The journal: change events in the order of commit, numbered from 1 without
 * a gap. Entries are written by the writer together with what they tell of;
 * this file reads, publishes and forgets them.
 */

import type { Logger } from '#lib/service/log.js';
import type { Database } from './database.js';
import { journalKey, META } from './keys.js';
import { pages, type Writes } from './reader.js';
import { type Journal, type JournalEntry, StoreError } from './types.js';
import type { Writer } from './writer.js';

const PAGE = 500;

/** The journal, and what the writer calls after a commit. */
export interface OpenJournal {
  readonly journal: Journal;
  /** @param writes of the commit, with the counters that it moved */
  committed(entries: JournalEntry[], writes: Writes): void;
}

/** The journal's position as the database has it. */
export function storedPosition(database: Database): number {
  return Number(database.reader.get(META.position) ?? '0');
}

/** @param writer gives the writer, which is made after the journal */
export function openJournal(
  database: Database,
  writer: () => Writer,
  log: Logger | undefined,
): OpenJournal {
  const listeners = new Set<(entries: JournalEntry[]) => void>();
  let position = storedPosition(database);
  let horizon = Number(database.reader.get(META.horizon) ?? '0');

  function committed(entries: JournalEntry[], writes: Writes): void {
    position = Number(writes.get(META.position) ?? position);
    horizon = Number(writes.get(META.horizon) ?? horizon);
    if (entries.length === 0) return;
    for (const listener of [...listeners]) {
      try {
        listener(entries);
      } catch (err) {
        log?.error({ err }, 'a journal listener failed');
      }
    }
  }

  async function compact(seq: number): Promise<void> {
    await writer().run((txn) => {
      const before = Number(txn.get(META.horizon) ?? '0');
      const until = Math.min(seq, txn.position());
      if (until > before) txn.set(META.horizon, String(until));
    });
    await clearForgotten(database);
  }

  const journal: Journal = {
    position: () => position,
    horizon: () => horizon,
    read: (seq, limit) => readEntries(database, seq, limit),
    onCommit(listener) {
      // A wrapper, so that one function can listen twice.
      const own = (entries: JournalEntry[]) => listener(entries);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    compact,
  };
  return { journal, committed };
}

function readEntries(
  database: Database,
  seq: number,
  limit: number,
): Promise<JournalEntry[]> {
  return database.consistently(async (reader) => {
    const horizon = Number(reader.get(META.horizon) ?? '0');
    if (seq < horizon) {
      throw new StoreError(
        'JournalHorizonError',
        `the journal begins after ${horizon}; ${seq} is forgotten`,
        { horizon: String(horizon), seq: String(seq) },
      );
    }
    const range = { low: journalKey(seq + 1), high: 'k' };
    const found: JournalEntry[] = [];
    if (limit <= 0) return found;
    for await (const entries of pages(reader, range, Math.min(limit, PAGE))) {
      for (const [, text] of entries) {
        if (found.length < limit) found.push(JSON.parse(text) as JournalEntry);
      }
      if (found.length >= limit) break;
    }
    return found;
  });
}

/** Removes entries at and below the horizon; at opening, leftovers too. */
export function clearForgotten(database: Database): Promise<void> {
  const horizon = Number(database.reader.get(META.horizon) ?? '0');
  return database.clear({
    low: journalKey(0),
    high: journalKey(horizon + 1),
  });
}
