#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** vxlnatadm: the process around `commands.ts`. */

import { once } from 'node:events';
import { createReadStream, createWriteStream, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { detachPins } from '../engine.js';
import { type Live, vxlnatadm } from './commands.js';

/** Asking takes at most this long, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** What the user sees last and whether he wants more. */
let wanted = true;
let wake = () => {};

function noMore(): void {
  wanted = false;
  wake();
}

async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const { cause, message } = error as Error & { cause?: Error };
    throw new Error(
      `${url}: ${cause?.message || message}; is vxlnatd running there?`,
    );
  }
}

async function json(url: string, response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    throw new Error(`${url}: the answer is not JSON; is this vxlnatd?`);
  }
}

/** Reads until it ends or the user wants no more. */
async function* bitsOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  process.once('SIGINT', () => {
    reader.cancel().catch(() => {});
  });
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

const live: Live = {
  async ask(url, method) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await request(url, { method, signal });
    return { status: response.status, body: await json(url, response) };
  },
  async open(url) {
    const response = await request(url, {});
    const refused = response.status >= 300;
    return {
      status: response.status,
      body: refused ? await json(url, response) : null,
      bits: bitsOf(response),
    };
  },
  write: (text) => void process.stdout.write(text),
  save(path) {
    const stream =
      path === '-'
        ? process.stdout
        : createWriteStream(path, { fd: openSync(path, 'w') });
    return {
      async write(bytes) {
        if (!stream.write(bytes)) await once(stream, 'drain');
      },
      async end() {
        if (stream === process.stdout) return;
        stream.end();
        await once(stream, 'finish');
      },
    };
  },
  lines(path) {
    const input = path === '-' ? process.stdin : createReadStream(path);
    return createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  },
  async pause(ms) {
    if (!wanted) return false;
    listen();
    const timer = setTimeout(() => wake(), ms);
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    clearTimeout(timer);
    return wanted;
  },
  detach: detachPins,
  now: () => performance.now(),
  rows: () => process.stdout.rows ?? 10_000,
  columns: () => process.stdout.columns ?? 10_000,
};

let listening = false;

/** From the first pause on `q` and Ctrl-C end it. */
function listen(): void {
  if (listening) return;
  listening = true;
  process.once('SIGINT', noMore);
  if (!process.stdin.isTTY) return;
  process.stdin.setRawMode(true);
  process.stdin.on('data', (keys) => {
    // In raw mode Ctrl-C is a character.
    const ctrlC = '\u0003';
    if (['q', 'Q', ctrlC].includes(keys.toString())) noMore();
  });
  process.stdin.unref();
}

const outcome = await vxlnatadm(process.argv.slice(2), live);
if (process.stdin.isTTY && listening) process.stdin.setRawMode(false);
process.stdout.write(outcome.stdout);
process.stderr.write(outcome.stderr);
process.exitCode = outcome.status;
if (listening) process.stdin.destroy();
