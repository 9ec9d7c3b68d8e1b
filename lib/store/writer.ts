// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The one writer: transactions run one after the other, so each is isolated
 * and sees all before it; those that wait while the disk is busy share the
 * next write (group commit). A caller hears of success only when its group is
 * on the disk; a transaction that fails leaves nothing of itself in the group.
 */

import type { Clock } from '#lib/clock.js';
import type { Database } from './database.js';
import { journalKey, META } from './keys.js';
import type { Writes } from './reader.js';
import {
  type OpenTransaction,
  openTransaction,
  type Transaction,
} from './transaction.js';
import type { JournalEntry } from './types.js';

/** Transactions that share a write; bounds what is held in memory. */
const GROUP_LIMIT = 128;

export interface Writer {
  /** Runs `work` alone and returns its result when it is durable. */
  run<T>(work: (txn: Transaction) => T | Promise<T>): Promise<T>;
  /** Waits for what was accepted; afterwards `run` fails. */
  close(): Promise<void>;
}

interface Job {
  run(txn: Transaction): Promise<void>;
  /** Tells the caller: the group is on the disk. */
  commit(): void;
  fail(error: unknown): void;
}

interface Group {
  writes: Writes;
  entries: JournalEntry[];
  /** The journal's after all of it. */
  position: number;
  done: Job[];
}

/**
 * @param position the journal's position when the database was opened
 * @param committed called after each durable group, before its callers hear
 */
export function createWriter(
  database: Database,
  clock: Clock,
  position: number,
  committed: (entries: JournalEntry[], writes: Writes) => void,
): Writer {
  const waiting: Job[] = [];
  let running: Promise<void> | null = null;
  let closed = false;

  async function runGroup(jobs: Job[]): Promise<void> {
    const group: Group = {
      writes: new Map(),
      entries: [],
      position,
      done: [],
    };
    for (const job of jobs) {
      const open = openTransaction(
        database.reader,
        group.writes,
        group.position,
        clock.now(),
      );
      try {
        await job.run(open.txn);
        take(group, open, job);
      } catch (error) {
        job.fail(error);
      }
    }
    try {
      await flush(database, group, position);
    } catch (error) {
      for (const job of group.done) job.fail(error);
      return;
    }
    position = group.position;
    committed(group.entries, group.writes);
    for (const job of group.done) job.commit();
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      await runGroup(waiting.splice(0, GROUP_LIMIT));
    }
    running = null;
  }

  return {
    run(work) {
      return new Promise((resolve, reject) => {
        if (closed) throw new Error('the store is closed');
        waiting.push(jobOf(work, resolve, reject));
        running ??= drain();
      });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}

function jobOf<T>(
  work: (txn: Transaction) => T | Promise<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): Job {
  let commit: () => void = () => reject(new Error('nothing ran'));
  return {
    async run(txn) {
      const value = await work(txn);
      commit = () => resolve(value);
    },
    commit: () => commit(),
    fail: reject,
  };
}

/** Adds what a transaction did to its group. */
function take(group: Group, open: OpenTransaction, job: Job): void {
  for (const [key, value] of open.writes) group.writes.set(key, value);
  group.entries.push(...open.entries);
  group.position = open.txn.position();
  group.done.push(job);
}

async function flush(
  database: Database,
  group: Group,
  before: number,
): Promise<void> {
  for (const entry of group.entries) {
    group.writes.set(journalKey(entry.seq), JSON.stringify(entry));
  }
  if (group.position !== before) {
    group.writes.set(META.position, String(group.position));
  }
  await database.write(group.writes);
}
