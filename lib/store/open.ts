// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The store: moray's semantics on LevelDB (design 4.1, 4.2; facts: triton-napi
 * 8 and 9.2).
 *
 * Purpose. Buckets of JSON objects with typed, unique and list indexes, etags,
 * an LDAP-like filter language, atomic batches, and a journal of change events
 * that is written in the same commit as what the events tell of.
 *
 * Parts, from below: `keys`, `address` and `scalar` write values as text whose
 * order is theirs; `database` is LevelDB; `reader` reads a snapshot or a
 * transaction's view; `bucket`, `record` and `indexes` say what is stored;
 * `filter`, `match`, `plan` and `query` find; `mutate` and `batch` change;
 * `writer` commits; `journal` and `gap` are what their names say.
 *
 * Writing. One writer in one process (LevelDB locks its directory). Each piece
 * of work runs alone over what is committed and its group so far; the group is
 * one synchronous LevelDB write. So a batch is all or nothing, isolated, and
 * durable when its promise resolves. Counters (`_id`, journal position, bucket
 * ids) are keys written in the same commit: a failed write leaves no trace in
 * memory, and a number is never used twice.
 *
 * Reading. Every find has a LevelDB snapshot of its own and sees committed
 * state only. Index entries hold the object's key; unset fields have entries
 * too, so `(!(field=*))` is an indexed term.
 *
 * Invariants. An object, its `_id` entry and its index entries change in one
 * write. An index entry of a unique field belongs to one object. Journal
 * numbers have no gap between horizon and position.
 *
 * Failure. After a crash LevelDB replays its log: a group is there whole or
 * not at all. What dropping or compacting had not cleared is cleared at the
 * next opening. A directory of a newer format is refused, untouched.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { type Database, openDatabase } from './database.js';
import { createGapHints } from './gap.js';
import { clearForgotten, openJournal, storedPosition } from './journal.js';
import { ABOVE, META, prefixRange } from './keys.js';
import { type ReadStatistics, readAll, type Writes } from './reader.js';
import { createStore } from './store.js';
import type { BucketTriggers } from './trigger.js';
import type { Store } from './types.js';
import { createWriter, type Writer } from './writer.js';

/** Format of the keys and values; a change that old code misreads adds one. */
export const FORMAT = 1;

export interface LevelStoreOptions {
  clock: Clock;
  log?: Logger;
  /**
   * A store that lives no longer than the process: in a directory of its own
   * under the system's temporary one, never waiting for the disk.
   */
  memory?: boolean;
  triggers?: BucketTriggers;
  /** Empties what a copy left unfinished, instead of refusing to open it. */
  emptyUnfinished?: boolean;
}

/** What is said of a store that a copy did not finish. */
export const UNFINISHED =
  'a copy into it was not finished; copy again, or name another store';

/** The embedded store, with what tests ask about its reading. */
export interface LevelStore extends Store {
  readonly statistics: ReadStatistics;
}

/**
 * Opens or makes a store.
 * @param directory where it lies; ignored with `memory`
 * @throws Error naming the directory: locked, unreadable, a newer format, or
 *   an unfinished copy
 */
export async function openLevelStore(
  directory: string,
  options: LevelStoreOptions,
): Promise<LevelStore> {
  const memory = options.memory === true;
  const path = memory
    ? await mkdtemp(join(tmpdir(), 'vxlnat-store-'))
    : directory;
  const database = await openDatabase(path, !memory);
  try {
    await checkFormat(database, path);
    await checkWhole(database, path, options.emptyUnfinished === true);
    await clearDropped(database);
    await clearForgotten(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return assemble(database, options, async () => {
    await database.close();
    if (memory) await rm(path, { recursive: true, force: true });
  });
}

function assemble(
  database: Database,
  options: LevelStoreOptions,
  end: () => Promise<void>,
): LevelStore {
  const hints = createGapHints();
  const journal = openJournal(database, () => writer, options.log);
  const writer: Writer = createWriter(
    database,
    options.clock,
    storedPosition(database),
    (entries, writes) => {
      hints.committed(writes);
      journal.committed(entries, writes);
    },
  );
  const store = createStore(
    database,
    writer,
    hints,
    journal.journal,
    options.triggers ?? {},
    () => clearDropped(database),
  );
  let closing: Promise<void> | null = null;
  async function close(): Promise<void> {
    await writer.close();
    await end();
  }
  return {
    ...store,
    statistics: database.statistics,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function checkFormat(database: Database, path: string): Promise<void> {
  const text = database.reader.get(META.format);
  if (text === undefined) {
    return database.write(new Map([[META.format, String(FORMAT)]]));
  }
  if (Number(text) === FORMAT) return;
  throw new Error(
    `cannot open store ${path}: it has format ${text}, this program ` +
      `reads format ${FORMAT}; use the program that wrote it or a newer one`,
  );
}

async function checkWhole(
  database: Database,
  path: string,
  empty: boolean,
): Promise<void> {
  const key = META.unfinished;
  if ((database.reader.get(key) ?? '') === '') return;
  if (!empty) throw new Error(`cannot open store ${path}: ${UNFINISHED}`);
  // The mark stays: emptying may be interrupted, too.
  await database.clear({ low: '', high: key });
  await database.clear({ low: `${key}\0`, high: ABOVE });
  await database.write(new Map([[META.format, String(FORMAT)]]));
}

/** Clears keys of dropped buckets and indexes: nothing refers to them. */
async function clearDropped(database: Database): Promise<void> {
  const dropped = await readAll(database.reader, prefixRange('d/'));
  for (const [key] of dropped) {
    await database.clear(prefixRange(key.slice(2)));
    const done: Writes = new Map([[key, null]]);
    await database.write(done);
  }
}
