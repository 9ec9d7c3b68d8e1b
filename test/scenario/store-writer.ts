// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The victim of store-kill.test: writes batches, several at a time, and says
 * on standard output which are acknowledged, until it is killed. Batch n puts
 * or deletes both halves of a pair, notes n in the log bucket, and has one
 * event; n is the journal position that it must get.
 *
 *     node store-writer.js DIRECTORY SEED
 */

import { writeSync } from 'node:fs';
import { systemClock } from '#lib/clock.js';
import { openLevelStore } from '#lib/store/open.js';
import type { BatchRequest, Store } from '#lib/store/types.js';
import { seededRng } from '#test/rng.js';

/** What a batch's event tells: enough to replay it. */
export interface Step {
  n: number;
  pair: number;
  gone: boolean;
}

export const BUCKETS = {
  pairs: {
    index: {
      n: { type: 'number' as const },
      tag: { type: 'string' as const, unique: true },
      ip: { type: 'ip' as const },
      sides: { type: '[string]' as const },
    },
  },
  log: { index: { n: { type: 'number' as const, unique: true } } },
};

/** The object of one half of a pair. */
export function half(side: string, step: Step): object {
  const { n, pair } = step;
  return {
    n,
    tag: `${side}-${n}`,
    sides: [side, String(pair)],
    ...(n % 3 === 0 ? {} : { ip: `10.0.${pair}.${n % 256}` }),
  };
}

function requests(step: Step): BatchRequest[] {
  const bucket = 'pairs';
  const log = { bucket: 'log', key: `n${step.n}`, value: { n: step.n } };
  if (step.gone) {
    const filter = `(sides=${step.pair})`;
    return [{ operation: 'deleteMany', bucket, filter }, log];
  }
  const puts = ['left', 'right'].map((side) => ({
    bucket,
    key: `${side}-${step.pair}`,
    value: half(side, step),
  }));
  return [puts[0] as BatchRequest, log, puts[1] as BatchRequest];
}

async function write(store: Store, step: Step): Promise<void> {
  const id = String(step.n);
  const event = { resource: 'pair', subResources: [], id, object: step };
  await store.batch(requests(step), [event]);
  writeSync(1, `${step.n}\n`);
}

async function main(directory: string, seed: number): Promise<void> {
  const rng = seededRng(seed);
  const store = await openLevelStore(directory, { clock: systemClock() });
  for (const [name, config] of Object.entries(BUCKETS)) {
    await store.putBucket(name, config);
  }
  let n = store.journal.position();
  async function worker(): Promise<void> {
    while (n < 1_000_000) {
      n += 1;
      const gone = rng.chance(0.2);
      await write(store, { n, pair: rng.below(30), gone });
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker));
}

const [, script, directory, seed] = process.argv;
if (script?.endsWith('store-writer.js') && directory !== undefined) {
  await main(directory, Number(seed));
}
