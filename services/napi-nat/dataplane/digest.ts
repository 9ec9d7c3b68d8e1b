// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The rules digest as the journal moves on: what a zone that has applied
 * everything up to a position must report. Follows commits in order and costs
 * one hash for each changed rule, not one for each rule.
 */

import type { FabricRule, OneToOne } from '#lib/model/dataplane.js';
import { oneToOneText, ruleText, textHash } from '#lib/model/rules-digest.js';
import type { JournalEntry } from '#lib/store/types.js';

/** How many digests are remembered for zones that lag. */
const REMEMBERED = 1024;
const MASK = (1n << 64n) - 1n;

export interface DigestTracker {
  /** Takes in what the store has, before `begin`. */
  load(fabrics: readonly FabricRule[], entries: readonly OneToOne[]): void;
  /** Everything is loaded, as of a position. */
  begin(position: number): void;
  /** Takes in committed entries, in order; those already in are ignored. */
  follow(entries: readonly JournalEntry[]): void;
  /** The newest digest, 16 hex digits. */
  current(): { position: number; digest: string };
  /** The digest as of a position, or null when it is no longer known. */
  at(position: number): string | null;
}

function hex(sum: bigint): string {
  return sum.toString(16).padStart(16, '0');
}

function hashOf(
  entry: JournalEntry,
): { key: string; hash: bigint | null } | null {
  const { resource, id, object } = entry;
  if (resource === 'network') {
    const hash = object && textHash(ruleText(object as FabricRule));
    return { key: `network ${id}`, hash };
  }
  if (resource === 'aip') {
    const hash = object && textHash(oneToOneText(object as OneToOne));
    return { key: `aip ${id}`, hash };
  }
  return null;
}

/** Makes a tracker of no rules at position 0. */
export function createDigestTracker(): DigestTracker {
  const hashes = new Map<string, bigint>();
  let history: { position: number; digest: string }[] = [];
  let sum = 0n;
  let position = 0;

  function set(key: string, hash: bigint | null): boolean {
    const old = hashes.get(key) ?? null;
    if (old === hash) return false;
    if (hash === null) hashes.delete(key);
    else hashes.set(key, hash);
    sum = (sum - (old ?? 0n) + (hash ?? 0n)) & MASK;
    return true;
  }

  function remember(at: number): void {
    history.push({ position: at, digest: hex(sum) });
    if (history.length > REMEMBERED) history = history.slice(-REMEMBERED / 2);
  }

  return {
    load(fabrics, entries) {
      for (const rule of fabrics) {
        set(`network ${rule.network_uuid}`, textHash(ruleText(rule)));
      }
      for (const entry of entries) {
        set(`aip ${entry.aip_uuid}`, textHash(oneToOneText(entry)));
      }
    },
    begin(at) {
      position = at;
      remember(at);
    },
    follow(entries) {
      for (const entry of entries) {
        if (entry.seq <= position) continue;
        position = entry.seq;
        const change = hashOf(entry);
        if (change && set(change.key, change.hash)) remember(entry.seq);
      }
    },
    current: () => ({ position, digest: hex(sum) }),
    at(wanted) {
      if (wanted > position) return null;
      const known = history.findLast((each) => each.position <= wanted);
      return known?.digest ?? null;
    },
  };
}
