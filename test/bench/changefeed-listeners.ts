// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Listeners of one publisher in one process: `URL COUNT CHANGES`. Prints
 * `ready` when all are registered, and at the end a line for each change with
 * the times of its arrivals.
 */

import { WebSocket } from 'ws';

const [url, count, changes] = process.argv.slice(2) as [string, string, string];
const arrivals = new Map<string, number[]>();
let waiting = Number(count);
let missing = Number(count) * Number(changes);

function take(id: string, at: number): void {
  const times = arrivals.get(id) ?? [];
  times.push(at);
  arrivals.set(id, times);
  missing -= 1;
  if (missing > 0) return;
  for (const [each, all] of arrivals) {
    process.stdout.write(`${JSON.stringify({ id: each, at: all })}\n`);
  }
  process.stdout.end(() => process.exit());
}

function listen(instance: string): void {
  const socket = new WebSocket(`${url}/changefeeds`, {
    headers: { 'accept-version': '~1' },
    perMessageDeflate: false,
  });
  const changeKind = { resource: 'network', subResources: ['create'] };
  let answered = false;
  socket.on('open', () =>
    socket.send(JSON.stringify({ instance, service: 'bench', changeKind })),
  );
  socket.on('message', (data: Buffer) => {
    const at = performance.timeOrigin + performance.now();
    if (answered) {
      const item = JSON.parse(data.toString()) as { changedResourceId: string };
      take(item.changedResourceId, at);
      return;
    }
    answered = true;
    waiting -= 1;
    if (waiting === 0) process.stdout.write('ready\n');
  });
}

for (let i = 0; i < waiting; i++) listen(`listener-${i}`);
