// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd's hand on BIRD, in a namespace and as a user of a test's choice:
 * lines of JSON `[method, ...arguments]` in, `{said}` or `{error, silent}` out.
 *
 *   bird-driver.js DIRECTORY
 */

import { createInterface } from 'node:readline';
import {
  type Bird,
  BirdSilent,
  systemBird,
} from '../../services/vxlnatd/announce/bird.js';

const bird = systemBird(process.argv[2] ?? '');

type Order =
  | ['ask', string]
  | ['start', boolean]
  | ['read']
  | ['load' | 'write', string];

function obey(order: Order): ReturnType<Bird[keyof Bird]> {
  switch (order[0]) {
    case 'ask':
      return bird.ask(order[1]);
    case 'start':
      return bird.start(order[1]);
    case 'read':
      return bird.read();
    case 'load':
      return bird.load(order[1]);
    case 'write':
      return bird.write(order[1]);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line) as Order).then(
    (said) => ({ said: said ?? '' }),
    (error: Error) => ({
      error: error.message,
      silent: error instanceof BirdSilent,
    }),
  );
  console.log(JSON.stringify(answer));
}
