// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A tap as a stream: opened by the first read of the stream, asked now and
 * then for what it has taken, and closed with the stream whatever ends it. The
 * engine bounds what is kept in between and counts what is lost.
 */

import type { Clock } from '#lib/clock.js';
import type { Engine, TapReadDto, TapSpecDto } from '../engine.js';

const ASK_EVERY_MS = 100;

/** Resolves after a while, or when the signal says so. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, done);
    function done(): void {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/**
 * Everything a tap takes, until it is done or nobody listens any more.
 * @param signal aborted when nobody listens
 */
export async function* tapReads(
  engine: Engine,
  clock: Clock,
  spec: TapSpecDto,
  signal: AbortSignal,
): AsyncGenerator<TapReadDto> {
  const tap = await engine.openTap(spec);
  try {
    for (;;) {
      const read = await tap.read();
      yield read;
      if (read.done || signal.aborted) return;
      await pause(clock, ASK_EVERY_MS, signal);
    }
  } finally {
    await tap.close();
  }
}
