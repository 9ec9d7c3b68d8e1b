// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The digest of the rules that the engine holds, kept step by step: the hashes
 * are summed modulo 2^64, so one change costs two hashes however many rules
 * there are (lib/model/rules-digest.ts).
 */

import { DigestSum, oneToOneText, ruleText } from '#lib/model/rules-digest.js';
import type { Applied, Step } from './plan.js';
import { entryKey, ruleKey } from './world.js';

export interface RunningDigest {
  /** Counts a step that has succeeded; call it before `advance`. */
  count(applied: Applied, step: Step): void;
  /** 16 hex digits, equal to `rulesDigest` of the same rules. */
  text(): string;
}

/** A digest of no rules. */
export function createRunningDigest(): RunningDigest {
  const sum = new DigestSum();
  function replace(before: string | null, after: string | null): void {
    if (before !== null) sum.subtract(before);
    if (after !== null) sum.add(after);
  }
  return {
    count(applied, step) {
      if (step.kind === 'set_rule' || step.kind === 'remove_rule') {
        const old = applied.rules.get(ruleKey(step.rule));
        replace(
          old === undefined ? null : ruleText(old),
          step.kind === 'set_rule' ? ruleText(step.rule) : null,
        );
      }
      if (step.kind === 'set_entry' || step.kind === 'remove_entry') {
        const { entry } = step;
        const key = entryKey(entry.vnet_id, entry.private_ip);
        const old = applied.entries.get(key);
        replace(
          old === undefined ? null : oneToOneText(old),
          step.kind === 'set_entry' ? oneToOneText(entry) : null,
        );
      }
    },
    text: () => sum.text(),
  };
}
