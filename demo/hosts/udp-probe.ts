// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Sends a numbered UDP datagram every few milliseconds and reports when echoes
 * came back: `{first_at, sent, received, gaps: [{from, to, ms}]}` where a gap is
 * a silence longer than `GAP_MS`. Ends after TOTAL_MS, or at the first echo when
 * mode is `first`. `node udp-probe.js IP PORT MODE TOTAL_MS EVERY_MS GAP_MS`; an
 * IP of `-` is read from standard input, so that the probe is already running
 * when the address becomes known.
 */

import { createSocket } from 'node:dgram';

const [ip, port, mode, total, every, gapMs] = process.argv.slice(2) as string[];
const socket = createSocket('udp4');
const gaps: { from: number; to: number; ms: number }[] = [];
let sent = 0;
let received = 0;
let firstAt: number | null = null;
let lastAt = 0;

function finish(): never {
  console.log(
    JSON.stringify({
      first_at: firstAt,
      sent,
      received,
      gaps,
      last_at: lastAt,
    }),
  );
  process.exit(0);
}

socket.on('error', () => undefined);
socket.on('message', () => {
  const now = Date.now();
  received++;
  firstAt ??= now;
  if (lastAt !== 0 && now - lastAt > Number(gapMs)) {
    gaps.push({ from: lastAt, to: now, ms: now - lastAt });
  }
  lastAt = now;
  if (mode === 'first') finish();
});
async function readTarget(): Promise<string> {
  if (ip !== '-') return ip as string;
  for await (const chunk of process.stdin) return String(chunk).trim();
  return finish();
}

const target = await readTarget();
socket.bind(0, () => {
  setInterval(() => {
    sent++;
    socket.send(String(sent), Number(port), target);
  }, Number(every));
  setTimeout(finish, Number(total));
});
