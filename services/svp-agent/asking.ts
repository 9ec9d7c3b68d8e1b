// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Questions to SVP that are under way. Each is asked once, however many want to
 * know, and an answer that something overtook is not used. Pure but for the
 * asking itself, which is an argument.
 */

/** Times a question is put because what it is about changed meanwhile. */
const MAX_AGAIN = 8;

/** One question: how it is asked, what its answer is about, what it does. */
export interface Question<T> {
  key: string;
  ask: () => Promise<T>;
  /** Keys that the answer speaks of; the question's own is implied. */
  about: (answer: T) => string[];
  /** Called in the turn that the answer came in. */
  apply: (answer: T) => void;
}

/** Questions under way, each asked once however many want to know. */
export function createAsking() {
  const asking = new Map<
    string,
    { changed: Set<string>; done: Promise<void> }
  >();

  /** Asks until nothing that the answer is about changed meanwhile. */
  async function settle<T>(
    question: Question<T>,
    changed: Set<string>,
  ): Promise<void> {
    for (let turn = 0; turn < MAX_AGAIN; turn++) {
      changed.clear();
      const answer = await question.ask();
      const keys = [question.key, ...question.about(answer)];
      if (keys.some((key) => changed.has(key))) continue;
      question.apply(answer);
      return;
    }
    throw new Error(`${question.key} keeps changing`);
  }

  return {
    size: () => asking.size,
    /** An answer that is under way may be older than what is known now. */
    changed(...keys: string[]): void {
      for (const one of asking.values()) {
        for (const key of keys) one.changed.add(key);
      }
    },
    /** @param fresh an answer to a question put earlier does not do */
    once<T>(question: Question<T>, fresh: boolean): Promise<void> {
      const { key } = question;
      const current = asking.get(key);
      if (current !== undefined) {
        if (fresh) current.changed.add(key);
        return current.done;
      }
      const changed = new Set<string>();
      const done = settle(question, changed).finally(() => asking.delete(key));
      asking.set(key, { changed, done });
      return done;
    },
  };
}
