// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Files that survive a crash whole: written aside, flushed, renamed, so there
 * is the old one or the new one; and not oftener than is worth it.
 */

import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { LEISURE } from './leisurely.js';

/** Least milliseconds between a change and its place on disk. */
const SAVE_MS = 1000;

/**
 * Writes `directory/name` so that a crash leaves it old or new.
 * @param text whole or in pieces
 */
export async function writeDurably(
  directory: string,
  name: string,
  text: string | AsyncIterable<string>,
) {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const aside = join(directory, `${name}.new`);
  const handle = await open(aside, 'w', 0o600);
  try {
    await writeFile(handle, text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, join(directory, name));
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Saves at most once a second, and what is newest when it does; less often
 * when a save takes long (leisurely.ts).
 */
export class LazySaver {
  readonly #write: () => Promise<void>;
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | null = null;
  #delay = SAVE_MS;
  #writing: Promise<void> = Promise.resolve();

  /** @param write puts what is newest on disk */
  constructor(write: () => Promise<void>, clock: Clock, log: Logger) {
    this.#write = write;
    this.#clock = clock;
    this.#log = log;
  }

  /** There is something new to save. */
  due(): void {
    this.#timer ??= this.#clock.after(this.#delay, () => void this.flush());
  }

  /** Saves now; resolves when it is on disk. A failure is logged. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#writing = this.#writing
      .then(() => this.#save())
      .catch((err) => this.#log.error({ err }, 'cannot save to disk'));
    return this.#writing;
  }

  async #save(): Promise<void> {
    const began = this.#clock.monotonic();
    await this.#write();
    const took = this.#clock.monotonic() - began;
    this.#delay = Math.max(SAVE_MS, took * LEISURE);
  }

  /** Resolves when what is newest is on disk, also by a save under way. */
  finish(): Promise<void> {
    return this.#timer === null ? this.#writing : this.flush();
  }
}
