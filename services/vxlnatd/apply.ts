// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Runs a plan's steps, in order, against the engine and the kernel, and
 * records in `applied` which of them have succeeded. A step that fails is
 * reported and left out: the next plan has it again.
 */

import type { RunningDigest } from './digest.js';
import type { Engine } from './engine.js';
import { operationOf } from './operation.js';
import type { Kernel } from './os/kernel.js';
import {
  type Applied,
  advance,
  type EngineStep,
  isEngineStep,
  type OsStep,
  type Step,
} from './plan.js';

/** A step that did not succeed. */
export interface Failure {
  step: Step;
  message: string;
}

/** The most operations in one call: bounds the pause of the packet worker. */
const CHUNK = 1024;
/** The most kernel steps in one call, which starts a process. */
const OS_CHUNK = 8192;

async function runEngine(
  engine: Engine,
  steps: EngineStep[],
): Promise<(string | null)[]> {
  try {
    const results = await engine.apply(steps.map(operationOf));
    return steps.map((_, i) => results[i]?.error ?? null);
  } catch (error) {
    const message = (error as Error).message;
    // One field at fault refuses a whole batch: find it by trying each alone.
    if (steps.length === 1) return [message];
    const outcomes: (string | null)[] = [];
    for (const step of steps) {
      outcomes.push(...(await runEngine(engine, [step])));
    }
    return outcomes;
  }
}

/** Cuts steps into runs of one kind, so that order holds between runs. */
function runs(steps: Step[]): Step[][] {
  const cut: Step[][] = [];
  for (const step of steps) {
    const last = cut.at(-1);
    const first = last?.[0];
    if (
      last !== undefined &&
      first !== undefined &&
      last.length < (isEngineStep(step) ? CHUNK : OS_CHUNK) &&
      isEngineStep(first) === isEngineStep(step)
    ) {
      last.push(step);
    } else {
      cut.push([step]);
    }
  }
  return cut;
}

/**
 * Applies steps in order.
 * @param applied is changed: it holds what has been done
 * @param digest follows the rules in `applied`
 * @returns the steps that failed, with the reason
 */
export async function applySteps(
  engine: Engine,
  kernel: Kernel,
  steps: Step[],
  applied: Applied,
  digest: RunningDigest,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const run of runs(steps)) {
    const outcomes = run.every(isEngineStep)
      ? await runEngine(engine, run)
      : await kernel.run(run as OsStep[]);
    run.forEach((step, i) => {
      const message = outcomes[i] ?? null;
      if (message !== null) {
        failures.push({ step, message });
        return;
      }
      digest.count(applied, step);
      advance(applied, step);
    });
  }
  return failures;
}

/** One line about a step, for a log record. */
export function describeStep(step: Step): string {
  return isEngineStep(step)
    ? JSON.stringify(operationOf(step))
    : `${step.kind} ${step.ip}`;
}
