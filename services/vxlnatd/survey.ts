// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What differs between what is applied and what is desired, when nobody can say
 * what was touched: the world was replaced, or the kernel found changed. A walk
 * through a million entries takes seconds, in which heartbeats, peers' questions
 * and another zone's failover must not wait; so it is made in turns. Pure.
 *
 * Both sides may change between two turns. Whoever changes them says what was
 * touched, so a walk that has passed the place misses nothing; and what it
 * found may be equal by now, for which a plan has no step.
 */

import type { NatPublic } from '#lib/model/dataplane.js';
import type { Desired } from './desired.js';
import { type Applied, sameEntry, sameRule } from './plan.js';
import { type Touched, untouched, type World } from './world.js';

/** Looks in one turn: some ten milliseconds. */
const TURN = 10_000;

/** Keys to walk through, whether one counts, and where it is noted. */
type Walk = [Iterable<string>, (key: string) => boolean, Set<string>];

/** Both ways through two maps. */
function walkMaps<T>(
  desired: ReadonlyMap<string, T>,
  applied: ReadonlyMap<string, T>,
  same: (a: T, b: T) => boolean,
  into: Set<string>,
): Walk[] {
  const differs = (key: string) => {
    const [now, then] = [applied.get(key), desired.get(key)];
    return now !== then && !(now && then && same(now, then));
  };
  return [
    [desired.keys(), differs, into],
    [applied.keys(), (key) => !desired.has(key), into],
  ];
}

/** Walks, resting after each turn. @returns `into`, filled */
function* inTurns<T>(walks: Walk[], into: T): Generator<void, T> {
  let looks = 0;
  for (const [keys, counts, found] of walks) {
    for (const key of keys) {
      if (counts(key)) found.add(key);
      looks += 1;
      if (looks % TURN === 0) yield;
    }
  }
  return into;
}

/** Both ways through two sets. */
function walkSets(
  desired: Desired['routed'],
  applied: ReadonlySet<string>,
  into: Set<string>,
): Walk[] {
  return [
    [desired, (ip) => !applied.has(ip), into],
    [applied, (ip) => !desired.has(ip), into],
  ];
}

/**
 * Walks through rules, 1:1 entries and public IPs; `plan` always looks at the
 * rest.
 * @yields after each turn
 * @returns what differed when it was looked at
 */
export function survey(
  desired: Desired,
  applied: Applied,
): Generator<void, Touched> {
  const found = untouched();
  const walks = [
    ...walkMaps(desired.rules, applied.rules, sameRule, found.rules),
    ...walkMaps(desired.entries, applied.entries, sameEntry, found.entries),
    ...walkSets(desired.routed, applied.routed, found.ips),
    ...walkSets(desired.announced, applied.announced, found.ips),
  ];
  return inTurns(walks, found);
}

function samePlace(a: NatPublic, b: NatPublic): boolean {
  return (
    a.zone_uuid === b.zone_uuid &&
    a.kind === b.kind &&
    a.owner_uuid === b.owner_uuid &&
    a.network_uuid === b.network_uuid
  );
}

/**
 * Walks through the public IPs of two worlds.
 * @yields after each turn
 * @returns those that are not the same in both
 */
export function surveyPlaces(
  theirs: World,
  ours: World,
): Generator<void, Set<string>> {
  const found = new Set<string>();
  const walks = walkMaps(theirs.publics, ours.publics, samePlace, found);
  return inTurns(walks, found);
}
