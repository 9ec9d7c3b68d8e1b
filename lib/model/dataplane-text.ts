// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A data plane as text, on the wire and on disk: JSON with each object on a
 * line of its own. Whoever likes reads it as the JSON that it is; a million
 * AIPs are more than one string can hold, so zones and napi-nat write and read
 * it line by line.
 */

import type { FabricRule, NatPublic, NatZone, OneToOne } from './dataplane.js';

/** A list, some items at a time. */
export type Pages<T> = Iterable<readonly T[]> | AsyncIterable<readonly T[]>;

/** A data plane whose lists need not be in memory. */
export interface DataplanePages {
  position: number;
  digest: string;
  fabrics: Pages<FabricRule>;
  one_to_ones: Pages<OneToOne>;
  publics: Pages<NatPublic>;
  zones: Pages<NatZone>;
}

/** Characters in one piece, about. */
const PIECE = 65_536;

const LISTS = ['fabrics', 'one_to_ones', 'publics', 'zones'] as const;
type List = (typeof LISTS)[number];

/** Told each item of a list, unchecked. */
type Take = (list: List, item: Record<string, unknown>) => void;

/** The text of a list, its brackets on lines of their own. */
async function* listText(
  name: string,
  pages: Pages<object>,
): AsyncGenerator<string> {
  let text = `,"${name}":[\n`;
  let end = '';
  for await (const page of pages) {
    for (const item of page) {
      text += end + JSON.stringify(item);
      end = ',\n';
      if (text.length < PIECE) continue;
      yield text;
      text = '';
    }
  }
  yield `${text}${end === '' ? '' : '\n'}]\n`;
}

/**
 * Writes a data plane.
 * @param more fields to put in front, such as a file's version
 * @returns the text in pieces
 */
export async function* dataplaneText(
  dataplane: DataplanePages,
  more: object = {},
): AsyncGenerator<string> {
  const { position, digest } = dataplane;
  yield `${JSON.stringify({ ...more, position, digest }).slice(0, -1)}\n`;
  for (const name of LISTS) yield* listText(name, dataplane[name]);
  yield '}\n';
}

/** Takes line by line what `dataplaneText` wrote. */
class LineReader {
  readonly #take: Take;
  #head: Record<string, unknown> | null = null;
  #list: List | null = null;
  #ended = false;

  constructor(take: Take) {
    this.#take = take;
  }

  line(text: string): void {
    if (this.#list !== null) {
      if (text === ']') this.#list = null;
      else this.#take(this.#list, JSON.parse(text.replace(/,$/, '')));
    } else if (this.#head === null) {
      this.#begin(text);
    } else if (text === '}') {
      this.#ended = true;
    } else {
      const name = /^,"(\w+)":\[$/.exec(text)?.[1];
      this.#list = LISTS.find((each) => each === name) ?? null;
      if (this.#list === null) throw new SyntaxError('not a list');
    }
  }

  /** The first line; of JSON without line ends the only one. */
  #begin(text: string): void {
    this.#ended = text.endsWith('}');
    const found = JSON.parse(this.#ended ? text : `${text}}`);
    for (const list of LISTS) {
      for (const item of found[list] ?? []) this.#take(list, item);
      delete found[list];
    }
    this.#head = found;
  }

  end(): Record<string, unknown> {
    if (this.#head === null || !this.#ended) {
      throw new SyntaxError('it is cut short');
    }
    return this.#head;
  }
}

/**
 * Reads a data plane as it comes, or JSON without line ends.
 * @param take told each item in turn, also of a text that proves bad later
 * @returns the other fields, unchecked
 * @throws SyntaxError when it is cut short or no such text
 */
export async function readDataplaneText(
  pieces: AsyncIterable<Uint8Array>,
  take: Take,
): Promise<Record<string, unknown>> {
  const decoder = new TextDecoder();
  const reader = new LineReader(take);
  let rest = '';
  for await (const piece of pieces) {
    const text = decoder.decode(piece, { stream: true });
    const end = text.lastIndexOf('\n');
    if (end < 0) {
      rest += text;
      continue;
    }
    const lines = (rest + text.slice(0, end)).split('\n');
    rest = text.slice(end + 1);
    for (const line of lines) reader.line(line);
  }
  if (rest !== '') reader.line(rest);
  return reader.end();
}
