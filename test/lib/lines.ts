// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A stream that keeps what a logger wrote. */

import { Writable } from 'node:stream';

export class Lines extends Writable {
  #text = '';

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: () => void,
  ): void {
    this.#text += chunk.toString('utf8');
    done();
  }

  text(): string {
    return this.#text;
  }

  /** One object for each line. */
  records(): Record<string, unknown>[] {
    return this.#text
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }
}
