// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `napi-nat store copy` and `import`: the command lines of what fills a store. */

import { existsSync } from 'node:fs';
import { systemClock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { HttpClient } from '#lib/http/client.js';
import { copyStore } from '#lib/store/copy.js';
import type { Store } from '#lib/store/types.js';
import type { StoreConfig } from '../config.js';
import { importNapi } from './import.js';
import { openStore } from './open.js';

/** A page of a thousand objects from a busy NAPI. */
const NAPI_TIMEOUT_MS = 60_000;

/**
 * A store as it is written on a command line.
 * @param place a directory, or a postgres: URL that may name a schema
 */
export function storeAt(place: string): StoreConfig {
  if (!/^postgres(ql)?:/.test(place)) return { directory: place };
  const schema = /[?&]schema=([a-z][a-z0-9_]{0,62})(?=&|$)/.exec(place);
  if (schema === null) return { postgres: { url: place } };
  const url = place
    .replace(schema[0], schema[0].startsWith('?') ? '?' : '')
    .replace('?&', '?')
    .replace(/\?$/, '');
  return { postgres: { url, schema: schema[1] as string } };
}

type Work = (from: string, to: string) => Promise<string>;

/** Opens what is to be filled; what an attempt left unfinished is emptied. */
async function filled<T>(
  to: string,
  fill: (store: Store) => Promise<T>,
): Promise<T> {
  const options = { clock: systemClock(), emptyUnfinished: true };
  const store = await openStore(storeAt(to), options);
  try {
    return await fill(store);
  } finally {
    await store.close();
  }
}

async function copy(from: string, to: string): Promise<string> {
  const source = storeAt(from);
  if ('directory' in source && !existsSync(source.directory)) {
    throw new UsageError(`there is no store ${source.directory}`);
  }
  const old = await openStore(source, { clock: systemClock() });
  try {
    const made = await filled(to, (store) => copyStore(old, store));
    const { buckets, objects, entries } = made;
    return (
      `copied ${buckets} buckets, ${objects} objects and ` +
      `${entries} journal entries; position ${old.journal.position()}`
    );
  } finally {
    await old.close();
  }
}

async function takeOver(url: string, to: string): Promise<string> {
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new UsageError(`"${url}" is not an http: or https: URL`);
  }
  const napi = new HttpClient({ url, timeoutMs: NAPI_TIMEOUT_MS });
  try {
    const made = await filled(to, (store) => importNapi(napi, store));
    const counts = Object.entries(made).map(([what, n]) => `${n} ${what}`);
    return `imported ${counts.join(', ')}`;
  } finally {
    napi.close();
  }
}

const WORK: Readonly<Record<string, Work>> = { copy, import: takeOver };

/**
 * @param words of the command line
 * @returns the exit status
 */
export async function runStoreCommand(words: string[]): Promise<number> {
  const [noun, verb = '', from, to, ...more] = words;
  const work = Object.hasOwn(WORK, verb) ? WORK[verb] : undefined;
  const known = noun === 'store' && more.length === 0;
  if (!known || !work || from === undefined || to === undefined) {
    throw new UsageError(
      `"${words.join(' ')}" is no command; there are store copy FROM TO and ` +
        'store import URL TO (see --help)',
    );
  }
  process.stdout.write(`${await work(from, to)}\n`);
  return 0;
}
