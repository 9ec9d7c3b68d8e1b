// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * sdcadm's way to change something: every procedure looks first and says what
 * it would do; only then, and only if the operator agrees, all are carried out
 * in order (facts: svp-portolan-vxlnat 6.2, style 3.8). A second run finds
 * nothing to do; a run that failed half-way finds the rest.
 */

import type { Context } from './context.js';

/** What a procedure would do. */
export interface Plan {
  /** For the operator; lines of detail are indented. */
  summary: string[];
  execute: () => Promise<void>;
}

/** Looks, changes nothing; null when there is nothing to do. */
export type Procedure = (ctx: Context) => Promise<Plan | null>;

export interface RunOptions {
  dryRun: boolean;
  yes: boolean;
}

function indented(text: string): string {
  return text.replace(/^/gm, '    ');
}

/**
 * Prepares all procedures, shows what they would do, asks, and does it.
 * @throws the first error of a procedure; what was done before it stays
 */
export async function runProcedures(
  ctx: Context,
  procedures: Procedure[],
  options: RunOptions,
): Promise<void> {
  const unlock = await ctx.lock();
  try {
    await runLocked(ctx, procedures, options);
  } finally {
    unlock();
  }
}

async function runLocked(
  ctx: Context,
  procedures: Procedure[],
  options: RunOptions,
): Promise<void> {
  const plans = (
    await Promise.all(procedures.map((procedure) => procedure(ctx)))
  ).filter((plan) => plan !== null);
  ctx.ui('');
  if (plans.length === 0) {
    ctx.ui('Nothing to do.');
    return;
  }
  ctx.ui('This will make the following changes:');
  for (const line of plans.flatMap((plan) => plan.summary)) {
    ctx.ui(indented(line));
  }
  ctx.ui('');
  if (!options.yes) {
    if (!(await ctx.confirm('Would you like to continue? [y/N] '))) {
      ctx.ui('Aborting.');
      return;
    }
    ctx.ui('');
  }
  const start = ctx.now();
  if (options.dryRun) ctx.ui('Skipping execution (dry-run).');
  else for (const plan of plans) await plan.execute();
  const dry = options.dryRun ? 'dry-run, ' : '';
  const seconds = Math.floor((ctx.now() - start) / 1000);
  ctx.ui(`Completed successfully (${dry}elapsed ${seconds}s).`);
}
