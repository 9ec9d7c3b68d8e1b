// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How long a zone takes from the start of vxlnatd to all rules in its engine,
 * and what it then needs, with a hundred thousand fabrics and a million AIPs:
 * once from napi-nat, whose store is filled in bulk as the service would have
 * left it, and once from the snapshot that it then had on disk, with napi-nat
 * gone. Everything runs in a network namespace of its own. BENCH_BOOT=1000,10000
 * takes other numbers of fabrics and AIPs.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { missing, type Row } from './report.js';

const PROGRAM = new URL('./boot-main.js', import.meta.url).pathname;

/** It reads a whole snapshot to see what a change in it costs. */
const HEAP = '--max-old-space-size=8192';

/** Runs boot-main.ts in its namespace; needs root. */
export async function benchBoot(): Promise<Row[]> {
  if (process.getuid?.() !== 0) return [missing('boot', 'needs root')];
  const inside = 'ip link set lo up && exec "$@"';
  const child = spawn(
    'unshare',
    ['-n', 'sh', '-c', inside, 'sh', process.execPath, HEAP, PROGRAM],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error('the boot benchmark failed');
  return JSON.parse(said) as Row[];
}
