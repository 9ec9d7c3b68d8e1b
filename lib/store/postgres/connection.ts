// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Connections to PostgreSQL: a few for reading, one for writing, one that
 * listens. The only file that imports `pg`.
 */

import pg from 'pg';
import { StoreError } from '../types.js';

/** Where the database is. */
export interface PostgresAddress {
  /** `postgres://user:password@host:port/database`, with pg's parameters. */
  url: string;
  /** Schema that holds the store's tables; made when it is missing. */
  schema?: string;
}

export const DEFAULT_SCHEMA = 'vxlnat';

/** One statement's rows. */
export type Rows = Record<string, unknown>[];

/** Anything that runs a statement. */
export interface Link {
  query(text: string, values?: unknown[]): Promise<{ rows: Rows }>;
}

/** A connection of one's own. */
export interface OwnLink extends Link {
  /** Statements in one flight; the first failure is the one thrown. */
  flight(statements: Statement[]): Promise<Rows[]>;
  onNotice(heard: (channel: string, payload: string) => void): void;
  onLost(lost: (error: Error) => void): void;
  end(): Promise<void>;
}

export type Statement = [text: string, values?: unknown[]];

/** Readers at once; more wait. */
const READERS = 4;
const CONNECT_MS = 3000;

/** Classes of SQLSTATE that say "the server is not there for you now". */
const LOST = /^(08|57P|25P03$|25P04$|53300$|25006$)/;

/** A name in SQL. */
export function quoted(name: string): string {
  return pg.escapeIdentifier(name);
}

/** The SQLSTATE of an error, or undefined. */
export function stateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Whether the connection failed, rather than the statement. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = stateOf(error);
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) return LOST.test(code);
  return (
    code !== undefined ||
    /connection|timeout expired|not queryable|was closed/i.test(error.message)
  );
}

/** The server ended a statement that took too long, or waited for a lock. */
const LATE = ['57014', '55P03'];

/** An error of a connection under moray's name for it. */
export function translated(error: unknown): unknown {
  if (LATE.includes(stateOf(error) ?? '')) {
    const { message } = error as Error;
    return new StoreError('QueryTimeoutError', `PostgreSQL: ${message}`);
  }
  if (!isLost(error)) return error;
  const { message } = error as Error;
  return new StoreError(
    'NoDatabasePeersError',
    `PostgreSQL does not answer: ${message}`,
  );
}

function settings(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'vxlnat',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    // Known to pg, not yet to its types: statements do not wait for answers.
    ...({ pipeline: true } as object),
  };
}

/** Connections for reading; a broken one is replaced. */
export function openReaders(
  url: string,
  broken: (error: Error) => void,
): Link & { end(): Promise<void> } {
  const pool = new pg.Pool({ ...settings(url), max: READERS });
  pool.on('error', broken);
  return {
    async query(text, values = []) {
      try {
        return await pool.query(text, values);
      } catch (error) {
        throw translated(error);
      }
    },
    end: () => pool.end(),
  };
}

/**
 * Opens one connection.
 * @param setup sent before anything else
 * @throws StoreError NoDatabasePeersError
 */
export async function openLink(url: string, setup: string): Promise<OwnLink> {
  const client = new pg.Client(settings(url));
  const losers: ((error: Error) => void)[] = [];
  let lost: Error | null = null;
  const lose = (error: Error) => {
    if (lost !== null) return;
    lost = error;
    for (const each of losers) each(error);
  };
  client.on('error', lose);
  client.on('end', () => lose(new Error('the connection was closed')));
  try {
    await client.connect();
    await client.query(setup);
  } catch (error) {
    void client.end().catch(() => {});
    throw translated(error);
  }
  return {
    query: (text, values) => client.query(text, values),
    async flight(statements) {
      const all = await Promise.allSettled(
        statements.map(([text, values]) => client.query(text, values)),
      );
      return all.map((each) => {
        if (each.status === 'rejected') throw each.reason;
        return each.value.rows as Rows;
      });
    },
    onNotice(heard) {
      client.on('notification', ({ channel, payload }) =>
        heard(channel, payload ?? ''),
      );
    },
    onLost(each) {
      if (lost === null) losers.push(each);
      else each(lost);
    },
    end: () => client.end(),
  };
}
