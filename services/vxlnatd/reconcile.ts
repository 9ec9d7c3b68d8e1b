// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd's control loop.
 *
 * Purpose. Keep the engine and the kernel as the world says this zone should
 * be, whatever happens in between.
 *
 *     napi-nat --changefeed--> follow.ts --fold--> World --desiredOf--> Desired
 *     or a file (proto-file.ts) -------------------------------------/    |
 *     kernel --observe-------------------------> Applied ---------- plan  v
 *                                                   ^------ apply <---- Step[]
 *
 * Interface. `kick` says that the source may want something else now;
 * `recheck` compares with the kernel first. One pass runs at a time; kicks
 * during a pass are one more pass after it, so a burst of changes costs two
 * plans, not one for each change.
 *
 * Invariants. `applied` holds exactly the steps that have succeeded since the
 * start, corrected by what the kernel was seen to hold. A plan looks at what the
 * source says was touched and at what failed before. A survey looks at everything,
 * a turn between two passes: after a look at the kernel, where what is touched
 * meanwhile does not wait for it; and when nobody can say what was touched (the
 * world was replaced, a pass broke off), where no pass is made before it ends,
 * for a part of a plan is out of order. The position is acknowledged (and so reported by heartbeats, on which
 * make-before-break rests) only when every step up to it has succeeded. A plan
 * of what is applied is empty, so a replay is harmless.
 *
 * Failure. A step that fails is logged with its reason, makes the zone not
 * ready, and is planned again after a second; the steps around it are applied.
 * Nothing here stops forwarding: without new plans the engine keeps its rules.
 */

import type { Clock, Timer } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import { applySteps, describeStep, type Failure } from './apply.js';
import type { Desired } from './desired.js';
import { createRunningDigest } from './digest.js';
import type { Engine } from './engine.js';
import type { Kernel } from './os/kernel.js';
import {
  type Applied,
  isEngineStep,
  nothingApplied,
  plan,
  type Step,
  touch,
} from './plan.js';
import { survey } from './survey.js';
import { type Touched, untouched } from './world.js';

/** Where desires come from. All is read in one go, without a wait. */
export interface Source {
  desired(): Desired;
  /** What may have changed since it was last asked for; null: anything. */
  touched(): Touched | null;
  position(): number;
  /** False as long as an empty plan means that nothing has been heard. */
  known(): boolean;
}

/** How far the zone is. */
export interface ReconcileStatus {
  /** Position up to which everything holds. */
  position: number;
  digest: string;
  /** Steps that failed in the last pass. */
  failures: { step: string; message: string }[];
  passes: number;
  steps: number;
}

export interface ReconcileOptions {
  engine: Engine;
  kernel: Kernel;
  source: Source;
  clock: Clock;
  log: Logger;
  /** Called after a pass with the steps that were planned. */
  onPass?: (steps: Step[]) => void;
  /** Milliseconds until a failed step is tried again. */
  retryMs?: number;
}

/** A pass of so many steps is worth a line of the log. */
const MANY = 10_000;

function isWithin(set: Set<string>, other: Set<string>): boolean {
  for (const ip of set) if (!other.has(ip)) return false;
  return true;
}

function overwrite(set: Set<string>, seen: Set<string>): boolean {
  if (set.size === seen.size && isWithin(set, seen)) return false;
  set.clear();
  for (const ip of seen) set.add(ip);
  return true;
}

/** Adds `more` to `touched`. */
function include(touched: Touched, more: Touched): void {
  for (const key of more.rules) touched.rules.add(key);
  for (const key of more.entries) touched.entries.add(key);
  for (const ip of more.ips) touched.ips.add(ip);
}

/** Corrects `applied` by the kernel; returns what was found different. */
async function correct(kernel: Kernel, applied: Applied): Promise<string[]> {
  const seen = await kernel.observe();
  if (seen === null) return [];
  const different: string[] = [];
  if (overwrite(applied.routed, seen.routed)) different.push('routes');
  if (overwrite(applied.takeovers, seen.takeovers)) {
    different.push('addresses');
  }
  if (seen.announced !== null && overwrite(applied.announced, seen.announced)) {
    different.push('announcements');
  }
  return different;
}

/** The control loop; it does nothing until the first kick. */
export class Reconciler {
  /** Read it, do not change it. */
  readonly applied: Applied = nothingApplied();
  readonly #options: ReconcileOptions;
  readonly #digest = createRunningDigest();
  #running: Promise<void> | null = null;
  #again = false;
  #dirty = false;
  /** What the next plan looks at. */
  #scope = untouched();
  /** Everything must be looked at, whatever was touched. */
  #whole = true;
  #survey: Generator<void, Touched> | null = null;
  /** Something was touched that only a survey can find, and none has ended. */
  #behind = true;
  /** The engine may hold what a predecessor's tables held (ADR 0010). */
  #adopting = true;
  #stopped = false;
  #retry: Timer | null = null;
  #position = 0;
  /** As of the end of a pass: it fits the position. */
  #digestText = this.#digest.text();
  #failures: Failure[] = [];
  #passes = 0;
  #steps = 0;

  constructor(options: ReconcileOptions) {
    this.#options = options;
  }

  /**
   * The source may have changed.
   * @param dirty false when only the position has moved
   */
  kick(dirty = true): void {
    this.#dirty ||= dirty;
    if (this.#stopped) return;
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    this.#running = this.#loop()
      .catch((err) => {
        this.#options.log.error({ err }, 'reconcile pass failed');
        // What it was to look at is forgotten.
        this.#whole = true;
        this.#behind = true;
        this.#retryLater();
      })
      .finally(() => {
        this.#running = null;
        if (this.#again) this.kick(false);
      });
  }

  /** Resolves when nothing is running or due at once. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Observes the kernel, then looks at everything. */
  async recheck(): Promise<void> {
    await this.settled();
    const different = await correct(this.#options.kernel, this.applied);
    if (different.length > 0) {
      this.#options.log.warn({ different }, 'kernel differs from the plan');
    }
    this.#whole = true;
    this.kick();
    await this.settled();
  }

  status(): ReconcileStatus {
    return {
      position: this.#position,
      digest: this.#digestText,
      failures: this.#failures.map(({ step, message }) => ({
        step: describeStep(step),
        message,
      })),
      passes: this.#passes,
      steps: this.#steps,
    };
  }

  /** Takes back what was added to the kernel; no pass follows. */
  async withdraw(): Promise<void> {
    this.stop();
    await this.settled();
    await this.#options.kernel.leave?.();
    const { routed, announced } = this.applied;
    const touched = { ...untouched(), ips: new Set([...routed, ...announced]) };
    const none: Desired = nothingApplied();
    const all = plan(none, this.applied, touched);
    const steps = all.filter((step) => !isEngineStep(step));
    this.#report(await this.#apply(steps));
  }

  /** No pass starts after this. */
  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
  }

  async #loop(): Promise<void> {
    do {
      // Everything that one read brought, such as a whole failover, is one
      // pass; and nothing else waits for all of a survey.
      await new Promise((resolve) => setImmediate(resolve));
      this.#again = false;
      this.#look();
      if (!this.#behind) await this.#pass();
    } while ((this.#again || this.#survey !== null) && !this.#stopped);
  }

  async #pass(): Promise<void> {
    const { source, log, clock, onPass } = this.#options;
    const goal = source.position();
    if (this.#dirty || this.#failures.length > 0) {
      this.#dirty = false;
      const steps = this.#plan();
      const began = clock.monotonic();
      if (steps.length >= MANY) {
        log.info({ steps: steps.length, position: goal }, 'pass begins');
      }
      this.#failures = await this.#apply(steps);
      this.#passes += 1;
      this.#steps += steps.length;
      this.#report(this.#failures);
      if (steps.length > 0) {
        const ms = Math.round(clock.monotonic() - began);
        const level = steps.length >= MANY ? 'info' : 'debug';
        log[level]({ steps: steps.length, position: goal, ms }, 'pass');
        onPass?.(steps);
      }
    }
    this.#digestText = this.#digest.text();
    if (this.#failures.length === 0) {
      await this.#finishAdoption();
      this.#position = goal;
    } else {
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#retry !== null || this.#stopped) return;
    const { clock, retryMs = 1000 } = this.#options;
    this.#retry = clock.after(retryMs, () => {
      this.#retry = null;
      this.kick();
    });
  }

  /** Takes in what the source says was touched, and a turn of the survey. */
  #look(): void {
    const { source } = this.#options;
    const touched = source.touched();
    if (touched !== null) include(this.#scope, touched);
    else {
      this.#behind = true;
      this.#whole = true;
    }
    if (this.#whole) {
      this.#whole = false;
      this.#survey = survey(source.desired(), this.applied);
    }
    const turn = this.#survey?.next();
    if (!turn?.done) return;
    include(turn.value, this.#scope);
    this.#scope = turn.value;
    this.#survey = null;
    this.#behind = false;
    this.#dirty = true;
  }

  #plan(): Step[] {
    const scope = this.#scope;
    this.#scope = untouched();
    for (const { step } of this.#failures) touch(scope, step);
    return plan(this.#options.source.desired(), this.applied, scope);
  }

  /** What the engine adopted and nobody has asked for since goes. */
  async #finishAdoption(): Promise<void> {
    if (!this.#adopting || !this.#options.source.known()) return;
    this.#adopting = false;
    await this.#options.engine.apply([{ op: 'finish_adoption' }]);
  }

  #apply(steps: Step[]): Promise<Failure[]> {
    const { engine, kernel } = this.#options;
    return applySteps(engine, kernel, steps, this.applied, this.#digest);
  }

  #report(found: Failure[]): void {
    const { log } = this.#options;
    for (const { step, message } of found.slice(0, 20)) {
      log.error({ step: describeStep(step), reason: message }, 'step failed');
    }
    if (found.length > 20) {
      log.error({ more: found.length - 20 }, 'more steps failed');
    }
  }
}
