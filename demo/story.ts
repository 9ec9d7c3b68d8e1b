// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Tells the story and keeps the record: each step is a few checks with their
 * measured times, printed as they happen and written to build/demo.json.
 */

import { writeFileSync } from 'node:fs';

/** A check that did not hold; its message is shown to the reader. */
export class StoryError extends Error {}

export interface StepRecord {
  id: string;
  ok: boolean;
  ms: number;
  error?: string;
}

/** What a run of the demo leaves behind for machines. */
export interface StoryRecord {
  ok: boolean;
  steps: StepRecord[];
  figures: Record<string, number>;
}

/** Prints and records one run of the demo. */
export class Story {
  readonly #steps: StepRecord[] = [];
  readonly #figures: Record<string, number> = {};
  readonly #print: (line: string) => void;
  readonly #now: () => number;

  constructor(print: (line: string) => void, now: () => number) {
    this.#print = print;
    this.#now = now;
  }

  /** A line of narration. */
  tell(text: string): void {
    this.#print(`    ${text}`);
  }

  /** Records a figure in milliseconds (or whatever its name says). */
  figure(name: string, value: number): void {
    this.#figures[name] = Math.round(value * 10) / 10;
  }

  /**
   * One step of the story. A failed check ends the step, not the story: later
   * steps still run and show what holds.
   */
  async step(
    id: string,
    title: string,
    body: () => Promise<void>,
  ): Promise<void> {
    this.#print(`\n${id}. ${title}`);
    const start = this.#now();
    const record: StepRecord = { id, ok: true, ms: 0 };
    try {
      await body();
    } catch (error) {
      record.ok = false;
      record.error = (error as Error).message;
    }
    record.ms = Math.round(this.#now() - start);
    this.#steps.push(record);
    this.#print(
      record.ok
        ? `    ok (${record.ms} ms)`
        : `    FAILED: ${record.error} (${record.ms} ms)`,
    );
  }

  /** A checked statement: printed when it holds, thrown when it does not. */
  check(holds: boolean, statement: string, otherwise = ''): void {
    if (!holds) {
      throw new StoryError(
        `not true: ${statement}${otherwise === '' ? '' : ` (${otherwise})`}`,
      );
    }
    this.#print(`    - ${statement}`);
  }

  /** Writes the record and returns whether every step held. */
  finish(file: string): boolean {
    const record: StoryRecord = {
      ok: this.#steps.length > 0 && this.#steps.every((step) => step.ok),
      steps: this.#steps,
      figures: this.#figures,
    };
    writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`);
    this.#print('\nFigures (ms):');
    for (const [name, value] of Object.entries(this.#figures)) {
      this.#print(`    ${name.padEnd(28)} ${value}`);
    }
    this.#print(
      record.ok
        ? '\nEvery step held.'
        : '\nNot every step held; the logs are in build/demo/.',
    );
    return record.ok;
  }
}
