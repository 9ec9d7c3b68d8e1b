// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Rules from a file instead of a control plane: read at the start, and again
 * on SIGHUP. A file that cannot be read at the start ends the daemon, as the
 * prototype does; on a reload the old rules stay and the fault is logged.
 * (The prototype exits then too, which takes down what worked.)
 */

import { readFileSync } from 'node:fs';
import { UsageError } from '#lib/errors.js';
import type { Desired } from './desired.js';
import { parseProtoFile } from './proto-file.js';
import type { Source } from './reconcile.js';
import { type Touched, untouched } from './world.js';

/** A source of desires that is a file. */
export class RulesFile implements Source {
  readonly #file: string;
  readonly #ownUl3: string | null;
  #desired: Desired;
  #generation = 1;
  /** Reading a file anew may change anything; null until it was asked. */
  #touched: Touched | null = null;

  /**
   * Reads the file.
   * @param ownUl3 served besides the file's `bind` lines, or null
   * @throws ProtoFileError, or a UsageError naming the file
   */
  constructor(file: string, ownUl3: string | null) {
    this.#file = file;
    this.#ownUl3 = ownUl3;
    this.#desired = this.#read();
  }

  /**
   * Reads it again; on a fault everything stays as it was.
   * @throws as the constructor does
   */
  reload(): void {
    this.#desired = this.#read();
    this.#touched = null;
    this.#generation += 1;
  }

  desired(): Desired {
    return this.#desired;
  }

  touched(): Touched | null {
    const touched = this.#touched;
    this.#touched = untouched();
    return touched;
  }

  /** A file has been read before this is made. */
  known(): boolean {
    return true;
  }

  /** How often the file was read: the generation that is applied. */
  position(): number {
    return this.#generation;
  }

  #read(): Desired {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'no such file' : message;
      throw new UsageError(`${this.#file}: cannot be read: ${why}`);
    }
    const desired = parseProtoFile(this.#file, text);
    if (this.#ownUl3 === null) return desired;
    const ul3s = new Set([this.#ownUl3, ...desired.ul3s]);
    return { ...desired, ul3s, claims: ul3s };
  }
}
