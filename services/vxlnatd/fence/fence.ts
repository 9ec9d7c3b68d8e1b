// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Self-fencing: may a zone that has lost the control plane go on announcing?
 *
 * A zone's lease is renewed by each heartbeat that is answered. Without one it
 * cannot know whether its work was moved, so it asks its peers over the
 * underlay what they last heard of it, and believes the one that heard last:
 *
 *   a peer knows more, we do not serve         withdraw all: others do
 *   a peer knows more, others have some IPs    withdraw those
 *   no peer knows more than we                 go on: the control plane is gone
 *                                              and nobody decides anything
 *                                              (fail static, design 4.3)
 *   no peer answers, the underlay is silent    withdraw all: we are cut off and
 *                                              could deliver nothing anyway
 *   no peer answers, compute nodes send        go on: the peers are dead
 *
 * A zone that napi-nat does not hear is given no work back, so what a peer has
 * heard of it does not turn good again before its lease does. Pure.
 */

/** What a peer last heard of the zone that asks. */
export interface PeerAnswer {
  /** Journal position of what the peer knows. */
  position: number;
  /** The asker is registered and not down. */
  serves: boolean;
  /** Which of the public IPs that were asked about are another zone's. */
  lost: readonly string[];
}

export interface FenceView {
  leased: boolean;
  /** Journal position of what the zone itself knows. */
  position: number;
  answers: readonly PeerAnswer[];
  /** How many peers were asked. */
  asked: number;
  /** Whether the underlay brought any packet lately. */
  heard: boolean;
}

/** What must not be announced; `all`: nothing at all, and no UL3. */
export interface Fence {
  all: boolean;
  lost: ReadonlySet<string>;
}

/** No fence. */
export const OPEN: Fence = { all: false, lost: new Set() };
const SHUT: Fence = { all: true, lost: new Set() };

/** What a zone must withdraw by what it can find out. */
export function fenceOf(view: FenceView): Fence {
  const { leased, answers, asked, heard } = view;
  if (leased || asked === 0) return OPEN;
  if (answers.length === 0) return heard ? OPEN : SHUT;
  const last = Math.max(...answers.map(({ position }) => position));
  if (last <= view.position) return OPEN;
  const newest = answers.filter(({ position }) => position === last);
  if (newest.some(({ serves }) => !serves)) return SHUT;
  return { all: false, lost: new Set(newest.flatMap(({ lost }) => lost)) };
}
