// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `napi-nat store copy FROM TO`: the command line of lib/store/copy.ts. */

import { existsSync } from 'node:fs';
import { systemClock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { copyStore } from '#lib/store/copy.js';
import type { StoreConfig } from '../config.js';
import { openStore } from './open.js';

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

/**
 * @param words of the command line
 * @returns the exit status
 */
export async function runStoreCopy(words: string[]): Promise<number> {
  const [noun, verb, from, to, ...more] = words;
  const known = noun === 'store' && verb === 'copy' && more.length === 0;
  if (!known || from === undefined || to === undefined) {
    const said = words.join(' ');
    throw new UsageError(
      `"${said}" is no command; store copy FROM TO is the only one (see --help)`,
    );
  }
  const source = storeAt(from);
  if ('directory' in source && !existsSync(source.directory)) {
    throw new UsageError(`there is no store ${source.directory}`);
  }
  const clock = systemClock();
  const old = await openStore(source, { clock });
  try {
    const options = { clock, emptyUnfinished: true };
    const made = await openStore(storeAt(to), options);
    try {
      const { buckets, objects, entries } = await copyStore(old, made);
      process.stdout.write(
        `copied ${buckets} buckets, ${objects} objects and ` +
          `${entries} journal entries; position ${old.journal.position()}\n`,
      );
    } finally {
      await made.close();
    }
  } finally {
    await old.close();
  }
  return 0;
}
