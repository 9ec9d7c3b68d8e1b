// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Counting what a test file printed as TAP. */

export interface Tally {
  passed: number;
  failed: number;
  /** From the `1..N` line; 0 when there is none. */
  planned: number;
}

/**
 * @param output all that the file printed
 * @returns assertions at the outer level. `not ok` marked TODO or SKIP does
 *   not fail, as TAP has it
 */
export function tally(output: string): Tally {
  const counts: Tally = { passed: 0, failed: 0, planned: 0 };
  for (const line of output.split('\n')) {
    const plan = /^1\.\.(\d+)/.exec(line);
    if (plan !== null) counts.planned += Number(plan[1]);
    const result = /^(not )?ok\b(.*)$/.exec(line);
    if (result === null) continue;
    const excused = /#\s*(TODO|SKIP)\b/i.test(result[2] ?? '');
    if (result[1] === undefined || excused) counts.passed += 1;
    else counts.failed += 1;
  }
  return counts;
}
