// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The store on PostgreSQL, for more than one napi-nat (design 4.1, 4.2).
 *
 * Purpose. The semantics of the embedded engine (see `../open.ts`) in a
 * database that several processes share and that an operator may replicate.
 * The same conformance tests run against both.
 *
 * Parts, from below: `connection` is `pg`; `tables` says how objects lie there
 * (one table a bucket, a column and an index for each indexed field); `catalog`
 * remembers bucket configurations; `where` and `find` search; `work` and
 * `writer` change; `buckets` makes and alters tables; `journal` follows.
 *
 * Writing. One lock in the database makes all processes together one writer:
 * a group of batches takes it, reads what it touches, decides here with the
 * embedded engine's own rules, writes, and commits once. Etags, unique fields
 * and journal positions are checked and given under the lock, so two processes
 * cannot both win. PostgreSQL's own constraints stand behind that.
 *
 * Reading. Any number at once, committed state only, each find one statement.
 *
 * Invariants. As in the embedded engine; entries of the journal become visible
 * in the order of their positions. An acknowledged batch is committed.
 *
 * Failure. While PostgreSQL does not answer, calls fail with
 * NoDatabasePeersError; connections are made again by themselves. A COMMIT
 * whose answer was lost is looked up. A process that dies or stops while it
 * has the lock loses it with its connection.
 */

import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { META } from '../keys.js';
import { FORMAT, UNFINISHED } from '../open.js';
import type { BucketTriggers } from '../trigger.js';
import type { Store } from '../types.js';
import { createCatalog } from './catalog.js';
import {
  DEFAULT_SCHEMA,
  type OwnLink,
  openLink,
  openReaders,
  type PostgresAddress,
  quoted,
} from './connection.js';
import { type OpenJournal, openJournal } from './journal.js';
import { createStore } from './store.js';
import { storeTables, tableOf } from './tables.js';
import { createWriter, LOCK, type Writer } from './writer.js';

export interface PostgresStoreOptions {
  clock: Clock;
  log?: Logger;
  /** Alike in all processes that have the store open. */
  triggers?: BucketTriggers;
  /** As for the embedded engine. */
  emptyUnfinished?: boolean;
}

/**
 * Opens or makes a store.
 * @throws Error naming the server: unreachable, forbidden, of a newer format,
 *   or an unfinished copy
 */
export async function openPostgresStore(
  address: PostgresAddress,
  options: PostgresStoreOptions,
): Promise<Store> {
  const { url, schema = DEFAULT_SCHEMA } = address;
  const { clock, log, triggers = {} } = options;
  try {
    await prepare(url, schema, options.emptyUnfinished === true);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`cannot open store ${shown(url)}: ${message}`, {
      cause: error,
    });
  }
  const catalog = createCatalog(schema);
  const readers = openReaders(url, (err) =>
    log?.warn({ err }, 'a connection to PostgreSQL was lost'),
  );
  const common = { url, schema, catalog, clock };
  const follow: OpenJournal = await openJournal(
    { ...common, readers, log },
    () => writer,
  );
  const { journal } = follow;
  const writer: Writer = createWriter({
    ...common,
    committed: (entries) => follow.committed(entries),
  });
  let closing: Promise<void> | null = null;
  async function close(): Promise<void> {
    await writer.close();
    await follow.close();
    await readers.end();
  }
  return {
    ...createStore({ schema, readers, catalog, writer, journal, triggers }),
    tell: (text) => follow.tell(text),
    onTold: (listener) => follow.onTold(listener),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** An address without its password, for messages. */
function shown(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return 'PostgreSQL';
  }
}

/** Makes what is missing; several processes may do so at the same time. */
async function prepare(
  url: string,
  schema: string,
  empty: boolean,
): Promise<void> {
  const link = await openLink(url, 'SELECT 1');
  try {
    const meta = `${quoted(schema)}._meta`;
    await link.flight([
      ['BEGIN'],
      ['SELECT pg_advisory_xact_lock(hashtext($1))', [`vxlnat ${schema}`]],
    ]);
    // Even IF NOT EXISTS asks for the right to make schemas.
    const named = 'SELECT FROM pg_namespace WHERE nspname = $1';
    if ((await link.query(named, [schema])).rows.length === 0) {
      await link.query(`CREATE SCHEMA ${quoted(schema)}`);
    }
    await link.query(storeTables(schema));
    const { rows } = await link.query(
      `INSERT INTO ${meta} VALUES ($1, $2), ($3, '')
       ON CONFLICT (key) DO UPDATE SET value = ${meta}.value
       RETURNING key, value`,
      [META.format, String(FORMAT), LOCK],
    );
    const format = rows.find((row) => row['key'] === META.format)?.['value'];
    if (Number(format) !== FORMAT) {
      throw new Error(
        `it has format ${format}, this program reads format ${FORMAT}; ` +
          'use the program that wrote it or a newer one',
      );
    }
    await checkWhole(link, schema, empty);
    await link.query('COMMIT');
  } finally {
    await link.end();
  }
}

async function checkWhole(
  link: OwnLink,
  schema: string,
  empty: boolean,
): Promise<void> {
  const at = quoted(schema);
  const { rows } = await link.query(
    `SELECT FROM ${at}._meta WHERE key = $1 AND value <> ''`,
    [META.unfinished],
  );
  if (rows.length === 0) return;
  if (!empty) throw new Error(UNFINISHED);
  const buckets = await link.query(
    `SELECT substr(key, 3) AS name FROM ${at}._meta WHERE key LIKE 'b/%'`,
  );
  for (const { name } of buckets.rows) {
    await link.query(`DROP TABLE ${tableOf(schema, String(name))}`);
  }
  await link.query(`DELETE FROM ${at}._meta WHERE key <> ALL($1)`, [
    [META.format, META.unfinished, LOCK],
  ]);
  await link.query(`DELETE FROM ${at}._journal`);
}
