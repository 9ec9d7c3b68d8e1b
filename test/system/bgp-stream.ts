// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One-way UDP with a number in each packet: who receives knows what was lost.
 * Ends with its input, and prints what it counted.
 *
 *   bgp-stream.js receive                    {ready}, then {received}
 *   bgp-stream.js send RATE HOST...          {ready}, then {sent}; packets a
 *                                            second in all
 *
 * Every host gets packets from eight ports in turn, so that each of several
 * equal paths has some.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const PORT = 5158;
const [verb, rate = '1000', ...hosts] = process.argv.slice(2);

function print(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function receive(): Promise<void> {
  const seen = new Set<number>();
  const socket = createSocket('udp4', (data) => seen.add(data.readUInt32BE(0)));
  socket.bind(PORT, '0.0.0.0');
  await once(socket, 'listening');
  print({ ready: true });
  await once(process.stdin.resume(), 'end');
  print({ received: seen.size });
  socket.close();
}

async function send(): Promise<void> {
  const sockets = Array.from({ length: 8 }, () => createSocket('udp4'));
  const start = performance.now();
  let sent = 0;
  print({ ready: true });
  const timer = setInterval(() => {
    const due = ((performance.now() - start) * Number(rate)) / 1000;
    for (; sent < due; sent++) {
      const data = Buffer.alloc(100);
      data.writeUInt32BE(sent, 0);
      const socket = sockets[(sent >> 3) % sockets.length];
      socket?.send(data, PORT, hosts[sent % hosts.length]);
    }
  }, 1);
  await once(process.stdin.resume(), 'end');
  clearInterval(timer);
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const socket of sockets) socket.close();
  print({ sent });
}

await (verb === 'send' ? send() : receive());
