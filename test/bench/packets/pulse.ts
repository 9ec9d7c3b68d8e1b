// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A datagram each millisecond on one flow, and its answer:
 *
 *   serve            answers on UDP port 7009 with the address that it saw
 *   ask HOST FROM    asks; for each line of input prints the longest time
 *                    without an answer since the line before, the time since
 *                    the last answer (both ms), and the address seen
 */

import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const PORT = 7009;

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function serve(): void {
  const socket = createSocket('udp4');
  socket.on('message', (_data, from) => {
    socket.send(`${from.address}:${from.port}`, from.port, from.address);
  });
  socket.bind(PORT, () => print({ ready: true }));
}

async function ask(host: string, from: string): Promise<void> {
  const socket = createSocket('udp4').bind({ address: from });
  let seen = '';
  let last = performance.now();
  let longest = 0;
  socket.on('message', (answer) => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    seen = answer.toString();
  });
  const asking = setInterval(() => socket.send('?', PORT, host), 1);
  for await (const _ of createInterface({ input: process.stdin })) {
    print({ longest, since: performance.now() - last, seen });
    longest = 0;
  }
  clearInterval(asking);
  socket.close();
}

const [verb, host = '', from = ''] = process.argv.slice(2);
if (verb === 'serve') serve();
else await ask(host, from);
