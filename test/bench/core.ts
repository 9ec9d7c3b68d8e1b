// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The engine alone: the native benchmark program prints one JSON row a line;
 * its ratios are to a twin on `std::unordered_map` measured in the same run.
 */

import { spawnSync } from 'node:child_process';
import type { Row } from './report.js';

/** Builds and runs the native benchmark. */
export async function benchCore(): Promise<Row[]> {
  const made = spawnSync(
    'make',
    ['--no-print-directory', '-C', 'native/vxlnat', 'bench'],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (made.status !== 0) throw new Error('the native benchmark failed');
  return made.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      const measured = JSON.parse(line) as Row;
      return { ...measured, ratio: measured.ratio ?? null };
    });
}
