// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Raises the demo's deployment for the `zones` benchmark and takes it down
 * again. The measuring has to happen inside the operator's machine, so the demo
 * program runs it there and this reads what it wrote.
 */

import { readFileSync, rmSync } from 'node:fs';
import { enter } from '../../demo/entry.js';
import type { Row } from './report.js';

const RESULT = 'build/bench-zones.json';

/** Runs the `zones` part; needs root or user namespaces, as the demo does. */
export async function benchZonesInLab(): Promise<Row[]> {
  rmSync(RESULT, { force: true });
  const program = new URL('./zones-main.js', import.meta.url).pathname;
  const status = await enter('bench', program);
  if (status !== 0) throw new Error('the zones benchmark failed');
  return JSON.parse(readFileSync(RESULT, 'utf8')) as Row[];
}
