// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A control plane for zones in namespaces, moved by a test through lines of
 * JSON: `[method, ...arguments]` of `MiniNapi` in, `{done}` out.
 *
 *   bgp-control.js HOST HTTP-PORT SVP-PORT
 */

import { createInterface } from 'node:readline';
import { MiniNapi } from '#test/mini-napi.js';

const [host = '', http, svp] = process.argv.slice(2);
const napi = new MiniNapi();
await napi.start(Number(http), Number(svp), host);
console.log(JSON.stringify({ ready: true }));

type Order =
  | ['zone', ...Parameters<MiniNapi['zone']>]
  | ['place', ...Parameters<MiniNapi['place']>]
  | ['fabric', ...Parameters<MiniNapi['fabric']>]
  | ['aip', ...Parameters<MiniNapi['aip']>]
  | ['mapping', ...Parameters<MiniNapi['mapping']>]
  | ['stop'];

async function obey(order: Order): Promise<void> {
  switch (order[0]) {
    case 'zone':
      return napi.zone(order[1], order[2]);
    case 'place':
      return napi.place(order[1], order[2]);
    case 'fabric':
      return void napi.fabric(order[1], order[2], order[3]);
    case 'aip':
      return napi.aip(order[1], order[2], order[3], order[4]);
    case 'mapping':
      return napi.mapping(order[1], order[2], order[3]);
    case 'stop':
      return napi.stop();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  await obey(JSON.parse(line) as Order);
  console.log(JSON.stringify({ done: true }));
}
process.exit(0);
