// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Holds one TCP connection open and sends a numbered line every few
 * milliseconds to an echo server; prints `{ok, lines, echoed, longest_gap_ms,
 * gap_from, gap_to, error}` at the end. One reset or one wrong line is a
 * failure: this is the customer's connection that must outlive a zone.
 * `node tcp-stream.js IP PORT TOTAL_MS EVERY_MS`.
 */

import { connect } from 'node:net';

const [ip, port, total, every] = process.argv.slice(2) as string[];
let lines = 0;
let echoed = 0;
let lastAt = 0;
let longest = { ms: 0, from: 0, to: 0 };
let pending = '';
let error: string | null = null;

const socket = connect(Number(port), ip as string);
socket.setNoDelay(true);

function finish(): never {
  console.log(
    JSON.stringify({
      ok: error === null && lines > 0 && echoed === lines,
      lines,
      echoed,
      longest_gap_ms: longest.ms,
      gap_from: longest.from,
      gap_to: longest.to,
      error,
    }),
  );
  process.exit(0);
}

socket.on('connect', () => {
  console.log('{"connected":true}');
  const timer = setInterval(() => {
    lines++;
    socket.write(`${lines}\n`);
  }, Number(every));
  setTimeout(() => {
    clearInterval(timer);
    // The last lines may still be on their way, or waiting for a retransmit.
    const end = Date.now() + 5000;
    const wait = setInterval(() => {
      if (echoed === lines || Date.now() > end) {
        clearInterval(wait);
        finish();
      }
    }, 10);
  }, Number(total));
});
socket.on('data', (data) => {
  const now = Date.now();
  if (lastAt !== 0 && now - lastAt > longest.ms) {
    longest = { ms: now - lastAt, from: lastAt, to: now };
  }
  lastAt = now;
  pending += data.toString();
  const parts = pending.split('\n');
  pending = parts.pop() as string;
  for (const part of parts) {
    echoed++;
    if (Number(part) !== echoed) error = `line ${echoed} came back as ${part}`;
  }
});
socket.on('error', (failure) => {
  error = failure.message;
  finish();
});
socket.on('close', () => {
  error ??= 'closed by the other end';
  finish();
});
