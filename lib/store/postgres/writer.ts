// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The writer of one process. All processes take one lock for a group of
 * batches, so that batches run one after the other wherever they come from,
 * exactly as in the embedded engine: no deadlock, no serialization failure,
 * and journal positions in the order of commit.
 *
 * A group whose connection is lost before COMMIT was sent is run again. When
 * it is lost while COMMIT is under way, the server is asked by transaction id
 * what became of it. A process that stops in the middle (SIGSTOP, a lost
 * machine) loses its connection after `IDLE_MS` and with it the lock.
 */

import type { Clock } from '#lib/clock.js';
import type { JournalEntry } from '../types.js';
import { StoreError } from '../types.js';
import { CATALOG, type Catalog } from './catalog.js';
import {
  isLost,
  type OwnLink,
  openLink,
  quoted,
  type Rows,
  type Statement,
  translated,
} from './connection.js';
import { type Touch, Work } from './work.js';

/** The row that is locked. */
export const LOCK = 'm/lock';
/** Batches that share a commit. */
const GROUP_LIMIT = 128;
/** How long the server waits for us inside of a transaction. */
const IDLE_MS = 750;
/** How long we wait for the lock. */
const LOCK_MS = 10_000;
const ATTEMPTS = 5;
const PAUSE_MS = 200;
/** SQLSTATE of PostgreSQL's "transaction ID is in the future". */
const INVALID_PARAMETER_VALUE = '22023';

export interface WriterOptions {
  url: string;
  schema: string;
  catalog: Catalog;
  clock: Clock;
  /** Called after each commit, awaited before its callers hear. */
  committed: (entries: JournalEntry[]) => Promise<void>;
}

export interface JobOptions {
  touches?: Touch[];
  /** It searches, so what went before it must be in the tables. */
  searches?: boolean;
}

export interface Writer {
  /** Runs `work` alone; resolves when it is durable. */
  run<T>(work: (work: Work) => Promise<T>, options?: JobOptions): Promise<T>;
  /** Runs `work` in a commit of its own, for changes of tables. */
  alone<T>(work: (work: Work, link: OwnLink) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

interface Job {
  touches: Touch[];
  searches: boolean;
  alone: boolean;
  /** Does the work; what it gives is kept until the commit. */
  run(work: Work, link: OwnLink): Promise<() => void>;
  fail(error: unknown): void;
}

export function createWriter(options: WriterOptions): Writer {
  const waiting: Job[] = [];
  let link: OwnLink | null = null;
  let running: Promise<void> | null = null;
  let closed = false;

  async function connect(): Promise<OwnLink> {
    if (link !== null) return link;
    const setup =
      `SET idle_in_transaction_session_timeout = ${IDLE_MS}; ` +
      `SET lock_timeout = ${LOCK_MS}`;
    const made = await openLink(options.url, setup);
    made.onLost(() => {
      if (link === made) link = null;
    });
    link = made;
    return made;
  }

  async function runGroup(jobs: Job[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const own = await connect();
        const outcome = await attemptGroup(own, jobs, options);
        await options.committed(outcome.entries);
        for (const done of outcome.done) done();
        return;
      } catch (error) {
        const again = isLost(error) && !(error instanceof StoreError);
        if (again) {
          const broken = link;
          link = null;
          void broken?.end().catch(() => {});
        }
        if (!again || attempt === ATTEMPTS || closed) {
          const shown = translated(error);
          for (const job of jobs) job.fail(shown);
          return;
        }
        await pause();
      }
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) await runGroup(nextGroup(waiting));
    running = null;
  }

  function enqueue<T>(
    work: (work: Work, link: OwnLink) => Promise<T>,
    how: Omit<Job, 'run' | 'fail'>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (closed) throw new Error('the store is closed');
      waiting.push({
        ...how,
        async run(own, through) {
          const value = await work(own, through);
          return () => resolve(value);
        },
        fail: reject,
      });
      running ??= drain();
    });
  }

  return {
    run: (work, { touches = [], searches = false } = {}) =>
      enqueue(work, { touches, searches, alone: false }),
    alone: (work) =>
      enqueue(work, { touches: [], searches: false, alone: true }),
    async close() {
      closed = true;
      await running;
      await link?.end();
    },
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

/** Jobs up to one that must be alone. */
function nextGroup(waiting: Job[]): Job[] {
  const end = waiting.findIndex(({ alone }) => alone);
  const count = end === 0 ? 1 : end < 0 ? GROUP_LIMIT : end;
  return waiting.splice(0, Math.min(count, GROUP_LIMIT));
}

interface Outcome {
  entries: JournalEntry[];
  done: (() => void)[];
}

async function attemptGroup(
  link: OwnLink,
  jobs: Job[],
  options: WriterOptions,
): Promise<Outcome> {
  const { work, transaction } = await begin(link, options);
  const done: (() => void)[] = [];
  let last: Statement[];
  try {
    await work.prepare(jobs.flatMap(({ touches }) => touches));
    for (const job of jobs) {
      const finished = await runJob(link, work, job);
      if (finished !== null) done.push(finished);
    }
    await work.flush();
    last = work.last();
  } catch (error) {
    if (!isLost(error)) await link.query('ROLLBACK');
    throw error;
  }
  await commit(link, options, work, last, transaction);
  return { entries: work.entries, done };
}

/** Takes the lock and reads the counters as the last holder left them. */
async function begin(
  link: OwnLink,
  options: WriterOptions,
): Promise<{ work: Work; transaction: string }> {
  const meta = `${quoted(options.schema)}._meta`;
  let answers: Rows[];
  try {
    answers = await link.flight([
      ['BEGIN'],
      [`SELECT FROM ${meta} WHERE key = '${LOCK}' FOR UPDATE`],
      [`SELECT key, value FROM ${meta} WHERE key LIKE 'm/%'`],
      ['SELECT pg_current_xact_id()::text AS id'],
    ]);
  } catch (error) {
    if (!isLost(error)) await link.query('ROLLBACK');
    throw error;
  }
  const counters = new Map(
    (answers[2] ?? []).map((row) => [
      row['key'] as string,
      row['value'] as string,
    ]),
  );
  options.catalog.seen(counters.get(CATALOG) ?? '0');
  const { catalog, schema, clock } = options;
  const work = new Work(link, schema, catalog, counters, clock.now());
  return { work, transaction: String(answers[3]?.[0]?.['id']) };
}

/** @returns what to call after the commit, or null when the job failed */
async function runJob(
  link: OwnLink,
  work: Work,
  job: Job,
): Promise<(() => void) | null> {
  if (job.searches) {
    await work.flush();
    await link.query('SAVEPOINT job');
  }
  try {
    const finished = await job.run(work, link);
    work.keep();
    return finished;
  } catch (error) {
    if (isLost(error) && !(error instanceof StoreError)) throw error;
    work.undo(job.searches);
    if (job.searches) await link.query('ROLLBACK TO SAVEPOINT job');
    else if (job.alone) throw error;
    job.fail(translated(error));
    return null;
  }
}

async function commit(
  link: OwnLink,
  options: WriterOptions,
  work: Work,
  last: Statement[],
  transaction: string,
): Promise<void> {
  const { schema } = options;
  if (last.length > 0) {
    const notice = `${work.position()} ${work.get(CATALOG) ?? '0'}`;
    last.push(['SELECT pg_notify($1, $2)', [schema, notice]]);
  }
  try {
    await link.flight([...last, ['COMMIT']]);
  } catch (error) {
    if (!isLost(error)) {
      await link.query('ROLLBACK');
      throw error;
    }
    if (!(await wasCommitted(options, transaction))) throw error;
  }
}

/**
 * A server that crashed before the transaction left any trace on its disk does
 * not know the number: for it, it lies in the future.
 */
async function statusOf(link: OwnLink, transaction: string): Promise<unknown> {
  try {
    const { rows } = await link.query(
      'SELECT pg_xact_status($1::xid8) AS status',
      [transaction],
    );
    return rows[0]?.['status'];
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === INVALID_PARAMETER_VALUE) return 'aborted';
    throw error;
  }
}

/** Asks what became of a transaction whose COMMIT was not answered. */
async function wasCommitted(
  { url }: WriterOptions,
  transaction: string,
): Promise<boolean> {
  for (let attempt = 0; ; attempt += 1) {
    const link = await openLink(url, 'SELECT 1').catch(() => null);
    if (link !== null) {
      const status = await statusOf(link, transaction);
      await link.end();
      if (status !== 'in progress') return status === 'committed';
    }
    if (attempt === 50) {
      throw new StoreError(
        'NoDatabasePeersError',
        'PostgreSQL was lost during a commit; whether it took place is unknown',
      );
    }
    await pause();
  }
}
