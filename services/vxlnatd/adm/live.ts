// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Commands of vxlnatadm that last: packets as they pass, and pictures that
 * are drawn again and again.
 */

import { UsageError } from '#lib/errors.js';
import type { Options } from './arguments.js';
import { writeFlows, writeStory } from './show.js';
import { compare, type Look, writeTop } from './top.js';
import { whoHad } from './who.js';

/** What a run of vxlnatadm left. */
export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** One request to the daemon. @throws when nobody answers */
export type Ask = (
  url: string,
  method: 'GET' | 'DELETE',
) => Promise<{ status: number; body: unknown }>;

/** The daemon and the terminal, as a command sees them. */
export interface Live {
  ask: Ask;
  /** An answer that comes bit by bit; `body` when it is a refusal. */
  open: (url: string) => Promise<{
    status: number;
    body: unknown;
    bits: AsyncIterable<Uint8Array>;
  }>;
  /** Writes to the terminal at once. */
  write: (text: string) => void;
  /** Opens a file to write; `-` is the standard output. */
  save: (path: string) => {
    write: (bytes: Uint8Array) => Promise<void>;
    end: () => Promise<void>;
  };
  /** The lines of a file; `-` is the standard input. */
  lines: (path: string) => AsyncIterable<string>;
  /** Takes away what a dead daemon left attached; see `detachPins`. */
  detach: (pins: string) => Promise<void>;
  /** Resolves to false when the user wants no more. */
  pause: (ms: number) => Promise<boolean>;
  /** Milliseconds from some start. */
  now: () => number;
  /** Lines and columns of the terminal. */
  rows: () => number;
  columns: () => number;
}

/** The URL of a request. */
export function address(
  options: Options,
  path: string,
  query: URLSearchParams,
): string {
  const search = query.toString();
  const url = `${options.url.replace(/\/$/, '')}${path}`;
  return search === '' ? url : `${url}?${search}`;
}

/** What a refusal of the daemon leaves. */
export function refusal(httpStatus: number, body: unknown): Outcome {
  const { code, message, errors } = (body ?? {}) as {
    code?: string;
    message?: string;
    errors?: { field: string; message: string }[];
  };
  const fields = (errors ?? []).map((e) => `${e.field}: ${e.message}`);
  const text =
    fields.length > 0
      ? fields.join('; ')
      : `${code ?? httpStatus}: ${message ?? 'no reason given'}`;
  return { status: 1, stdout: '', stderr: `vxlnatadm: ${text}\n` };
}

const DONE: Outcome = { status: 0, stdout: '', stderr: '' };

/** Whole lines out of bits. */
async function* lines(bits: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bit of bits) {
    const parts = (rest + decoder.decode(bit, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

async function trace(options: Options, live: Live): Promise<Outcome> {
  const answer = await live.open(address(options, '/trace', options.query));
  if (answer.status >= 300) return refusal(answer.status, answer.body);
  let seen = 0;
  for await (const line of lines(answer.bits)) {
    seen++;
    live.write(
      options.json ? `${line}\n` : `${writeStory(JSON.parse(line))}\n`,
    );
  }
  return seen > 0 ? DONE : { ...DONE, stderr: 'vxlnatadm: no packet came\n' };
}

async function pcap(options: Options, live: Live): Promise<Outcome> {
  if (options.write === null) throw new UsageError('pcap needs -w FILE');
  const answer = await live.open(address(options, '/pcap', options.query));
  if (answer.status >= 300) return refusal(answer.status, answer.body);
  const file = live.save(options.write);
  let bytes = 0;
  try {
    for await (const bit of answer.bits) {
      bytes += bit.length;
      await file.write(bit);
    }
  } finally {
    await file.end();
  }
  if (options.write === '-') return DONE;
  return { ...DONE, stderr: `vxlnatadm: ${bytes} bytes to ${options.write}\n` };
}

/** Clears the terminal and writes as much of a text as it has room for. */
export function draw(live: Live, text: string): void {
  const shown = text
    .split('\n')
    .slice(0, Math.max(1, live.rows() - 1))
    .map((line) => line.slice(0, live.columns()));
  live.write(`\x1b[H\x1b[2J${shown.join('\n')}\n`);
}

async function watchFlows(options: Options, live: Live): Promise<Outcome> {
  do {
    const url = address(options, '/flows', options.query);
    const { status, body } = await live.ask(url, 'GET');
    if (status >= 300) return refusal(status, body);
    if (options.json) live.write(`${JSON.stringify(body)}\n`);
    else draw(live, writeFlows(body as Parameters<typeof writeFlows>[0]));
  } while (await live.pause(options.intervalMs));
  return DONE;
}

async function look(options: Options, live: Live): Promise<Look | Outcome> {
  const bodies: unknown[] = [];
  for (const path of ['/counts', '/drops', '/hot?most=1', '/stats']) {
    const none = new URLSearchParams();
    const url = address(options, path, none);
    const { status, body } = await live.ask(url, 'GET');
    if (status >= 300) return refusal(status, body);
    bodies.push(body);
  }
  const [counts, drops, hot, stats] = bodies as [
    Look['counts'],
    Look['drops'],
    Look['hot'],
    { engine: Look['engine'] },
  ];
  return { at: live.now(), counts, drops, hot, engine: stats.engine };
}

async function top(options: Options, live: Live): Promise<Outcome> {
  let before = await look(options, live);
  while (await live.pause(options.intervalMs)) {
    if ('stdout' in before) return before;
    const now = await look(options, live);
    if ('stdout' in now) return now;
    const seen = compare(before, now);
    before = now;
    // Three tables, their headings and the lines between them.
    const most = Math.max(3, Math.floor((live.rows() - 9) / 3));
    if (options.json) live.write(`${JSON.stringify(seen)}\n`);
    else if (options.once) live.write(`${writeTop(seen, most)}\n`);
    else draw(live, writeTop(seen, most));
    if (options.once) break;
  }
  return 'stdout' in before ? before : DONE;
}

/** Takes the XDP program away, of a daemon that lives or of one that died. */
async function detach(options: Options, live: Live): Promise<Outcome> {
  const url = address(options, '/program', new URLSearchParams());
  const answer = await live.ask(url, 'DELETE').catch(() => null);
  if (answer !== null && answer.status >= 300) {
    return refusal(answer.status, answer.body);
  }
  if (answer === null && options.pins !== null) await live.detach(options.pins);
  const [body, text] =
    answer === null
      ? [{ path: null }, 'vxlnatd does not run; nothing of it is attached']
      : [answer.body, 'detached; packets go by socket and TUN device'];
  const stdout = options.json ? JSON.stringify(body, null, 2) : text;
  return { ...DONE, stdout: `${stdout}\n` };
}

/** Commands that last, by name, or do more than to ask once. */
export const LASTING: Readonly<
  Record<string, (options: Options, live: Live) => Promise<Outcome>>
> = { trace, pcap, flows: watchFlows, top, who: whoHad, detach };
