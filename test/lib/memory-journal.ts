// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A journal in memory, for tests of what reads one. */

import {
  type Journal,
  type JournalEntry,
  type JournalEvent,
  StoreError,
} from '#lib/store/types.js';

export interface MemoryJournal extends Journal {
  /** Commits events as one batch. */
  commit(...events: JournalEvent[]): void;
}

/** @param published the commit time of every entry */
export function memoryJournal(published = 1_700_000_000_000): MemoryJournal {
  let entries: JournalEntry[] = [];
  let position = 0;
  let horizon = 0;
  const listeners = new Set<(entries: JournalEntry[]) => void>();
  return {
    position: () => position,
    horizon: () => horizon,
    async read(seq, limit) {
      if (seq < horizon) throw new StoreError('JournalHorizonError', 'gone');
      return entries.filter((entry) => entry.seq > seq).slice(0, limit);
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async compact(seq) {
      horizon = Math.max(horizon, Math.min(seq, position));
      entries = entries.filter((entry) => entry.seq > horizon);
    },
    commit(...events) {
      const batch = events.map((event, i) => ({
        ...event,
        seq: position + 1 + i,
        published,
      }));
      position += batch.length;
      entries.push(...batch);
      for (const listener of listeners) listener(batch);
    },
  };
}

/** A change of a network, the resource most tests publish. */
export function networkEvent(
  id: string,
  subResources: string[] = ['create'],
  object: object | null = { uuid: id },
): JournalEvent {
  return { resource: 'network', subResources, id, object };
}
