// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How far an AIP's assignment has come. A zone's heartbeat says up to which
 * journal position it has applied; an AIP is attached, or detached, when every
 * zone in service is past the event that said so. Nothing of this is stored:
 * the events are the journal's, the positions are the zones' own words, so any
 * number of napi-nat processes give the same answer.
 *
 * Of each AIP only the newest event matters, and of those only as many as are
 * likely to be under way are remembered. A record says after which position
 * its event came (`since`), so an event that this process has not yet seen is
 * told from one that it has forgotten.
 */

import type { Clock } from '#lib/clock.js';
import type { AipState } from '#lib/model/aip.js';
import type { NatZone } from '#lib/model/dataplane.js';
import type { Journal, JournalEntry } from '#lib/store/types.js';
import { type AipRecord, isAssigned } from './record.js';

/** How many AIPs' events are remembered. */
const REMEMBERED = 10_000;
/** A heartbeat wakes nobody: who waits looks this often, in milliseconds. */
const LOOK_MS = 50;

/** What is asked of the zone monitor. */
export interface ZoneView {
  zones(): { zone: NatZone; status: { position: number | null } }[];
}

/** Says in which state an AIP is. */
export interface AipProgress {
  state(record: AipRecord): AipState;
  /** As `state` for many, the zones being asked once. */
  states(): (record: AipRecord) => AipState;
  /** Resolves at the AIP's next event, or after a moment. */
  moment(uuid: string): Promise<'event' | 'time'>;
  stop(): void;
}

/**
 * Follows the journal until it is stopped.
 * @param remembered how many AIPs' events are kept
 */
export function createAipProgress(
  journal: Journal,
  monitor: ZoneView,
  clock: Clock,
  remembered = REMEMBERED,
): AipProgress {
  const events = new Map<string, number>();
  const waiting = new Map<string, Set<() => void>>();
  /** Nothing is known of events up to here but that they are in the past. */
  let horizon = journal.position();

  function follow(entries: readonly JournalEntry[]): void {
    // Its public IP moves in the same batch, told of after it.
    const end = entries.at(-1)?.seq ?? 0;
    for (const { resource, subResources, id } of entries) {
      if (resource !== 'aip') continue;
      for (const wake of waiting.get(id) ?? []) wake();
      if (subResources.includes('update')) continue;
      events.delete(id);
      events.set(id, end);
    }
    for (const [id, seq] of events) {
      if (events.size <= remembered) break;
      events.delete(id);
      horizon = Math.max(horizon, seq);
    }
  }

  /** The position that a zone must have passed to have applied the record. */
  function needed({ uuid, since = 0 }: AipRecord): number {
    const seq = events.get(uuid);
    if (seq !== undefined && seq > since) return seq;
    return since >= horizon ? Number.POSITIVE_INFINITY : horizon;
  }

  function states(): (record: AipRecord) => AipState {
    const applied = appliedByAll(monitor);
    return (record) => {
      const settled = needed(record) <= applied;
      if (isAssigned(record)) return settled ? 'attached' : 'attaching';
      // What never pointed anywhere has left nowhere.
      return settled || record.since === undefined ? 'detached' : 'detaching';
    };
  }

  function moment(uuid: string): Promise<'event' | 'time'> {
    return new Promise((resolve) => {
      const all = waiting.get(uuid) ?? new Set();
      waiting.set(uuid, all);
      const end = (why: 'event' | 'time') => {
        timer.cancel();
        all.delete(wake);
        if (all.size === 0) waiting.delete(uuid);
        resolve(why);
      };
      const wake = () => end('event');
      const timer = clock.after(LOOK_MS, () => end('time'));
      all.add(wake);
    });
  }

  const stop = journal.onCommit(follow);
  return { state: (record) => states()(record), states, moment, stop };
}

/** The position that every zone in service has applied; -1 without any. */
function appliedByAll(monitor: ZoneView): number {
  const positions = monitor
    .zones()
    .filter(({ zone }) => zone.state !== 'down' && zone.state !== 'new')
    .map(({ status }) => status.position ?? -1);
  return positions.length === 0 ? -1 : Math.min(...positions);
}
