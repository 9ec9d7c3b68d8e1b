// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Delays that grow, stay below their bound, and start over after success. */

import test from 'tape';
import { createBackoff } from '#lib/changefeed/backoff.js';

test('delays double up to the bound', (t) => {
  const backoff = createBackoff({ minMs: 100, maxMs: 500 }, () => 1);
  t.deepEqual(
    [1, 2, 3, 4, 5].map(() => backoff.next()),
    [100, 200, 400, 500, 500],
  );
  backoff.reset();
  t.equal(backoff.next(), 100);
  t.end();
});

test('at most half of a delay is chance', (t) => {
  const backoff = createBackoff({ minMs: 100, maxMs: 500 }, () => 0);
  t.equal(backoff.next(), 50);
  for (let i = 0; i < 2000; i += 1) backoff.next();
  t.equal(backoff.next(), 250, 'and many failures do not overflow');
  t.end();
});
