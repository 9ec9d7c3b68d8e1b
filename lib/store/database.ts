// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The one file that knows LevelDB: opening, one atomic synchronous write, and
 * consistent reads. What is above it sees keys and values as text.
 */

import { Level } from 'level';
import type { KeyRange } from './keys.js';
import type { Reader, ReadStatistics, Writes } from './reader.js';

/**
 * Memory and files of LevelDB, in bytes: its defaults (8 MiB of cache, 4 MiB before a
 * table is written) make reads and writes of a store of some hundred thousand
 * objects slower than those of a small one.
 */
const MEMORY = {
  cacheSize: 64 * 1024 * 1024,
  writeBufferSize: 32 * 1024 * 1024,
  // A million AIPs in files of the default 2 MiB are as many as may be open.
  maxFileSize: 16 * 1024 * 1024,
} as const;

type Snapshot = ReturnType<Level['snapshot']>;

export interface Database {
  /** Sees every committed write, also those after it was made. */
  readonly reader: Reader;
  readonly statistics: ReadStatistics;
  /** Runs `read` on the state of this moment. */
  consistently<T>(read: (reader: Reader) => Promise<T>): Promise<T>;
  /** All or nothing; returns when it is on the disk. */
  write(writes: Writes): Promise<void>;
  /** Removes a range that nothing refers to. Not atomic. */
  clear(range: KeyRange): Promise<void>;
  close(): Promise<void>;
}

/**
 * @param directory made when missing
 * @param sync whether a write waits for the disk
 * @throws Error naming the directory when it cannot be opened
 */
export async function openDatabase(
  directory: string,
  sync: boolean,
): Promise<Database> {
  const level = new Level<string, string>(directory, MEMORY);
  try {
    await level.open();
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot open store ${directory}: ${reason}`, {
      cause: error,
    });
  }
  const statistics: ReadStatistics = { entries: 0, objects: 0 };
  return {
    reader: readerOf(level, statistics, undefined),
    statistics,
    async consistently(read) {
      const snapshot = level.snapshot();
      try {
        return await read(readerOf(level, statistics, snapshot));
      } finally {
        await snapshot.close();
      }
    },
    async write(writes) {
      if (writes.size === 0) return;
      // Chained: an array of operations costs four times the CPU.
      const batch = level.batch();
      for (const [key, value] of writes) {
        if (value === null) batch.del(key);
        else batch.put(key, value);
      }
      await batch.write({ sync });
    },
    clear: ({ low, high }) => level.clear({ gte: low, lt: high }),
    close: () => level.close(),
  };
}

function readerOf(
  level: Level,
  statistics: ReadStatistics,
  snapshot: Snapshot | undefined,
): Reader {
  const options = snapshot === undefined ? {} : { snapshot };
  return {
    get: (key) => level.getSync(key, options),
    getMany(keys) {
      statistics.objects += keys.length;
      return level.getMany(keys, options);
    },
    async page({ low, high }, limit) {
      const entries = await level
        .iterator({ ...options, gte: low, lt: high, limit })
        .all();
      statistics.entries += entries.length;
      const last = entries.at(-1);
      const full = last !== undefined && entries.length === limit;
      return { entries, next: full ? `${last[0]}\0` : null };
    },
  };
}
