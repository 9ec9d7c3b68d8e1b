// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How a zone's record changes when it comes, falls, is drained: the decided
 * side of its life (liveness.ts is the observed one). Pure.
 *
 *   new --raised--> up | standby | draining --fallen--> down --raised--> ...
 */

import type { ZoneState } from '#lib/model/dataplane.js';
import type { PlacementPolicy } from '../placement.js';
import type { ZoneRecord } from './record.js';

/**
 * The record of a zone that is alive: its UL3 is its own again.
 * @param fabrics how many it carries already
 */
export function raised(
  before: ZoneRecord,
  fabrics: number,
  policy: PlacementPolicy,
): ZoneRecord {
  const { ul3_served_by: _served, ...rest } = before;
  const held = policy.placement === 'standby' && before.standby;
  const state: ZoneState = held && fabrics === 0 ? 'standby' : 'up';
  return {
    ...rest,
    state: before.draining === true ? 'draining' : state,
    ...(policy.on_join === 'rebalance' && state === 'up' && { joining: true }),
  };
}

/**
 * The record of a zone that was lost.
 * @param heir who answers for its UL3 meanwhile, or null
 */
export function fallen(before: ZoneRecord, heir: string | null): ZoneRecord {
  const { ul3_served_by: _old, joining: _joining, ...rest } = before;
  return {
    ...rest,
    state: 'down',
    ...(heir === null ? {} : { ul3_served_by: heir }),
  };
}

/** The record of a zone that is to get no new work. */
export function drained(before: ZoneRecord): ZoneRecord {
  const { joining: _joining, ...rest } = before;
  const serves = rest.state === 'up' || rest.state === 'standby';
  return { ...rest, draining: true, ...(serves && { state: 'draining' }) };
}

/** The record of a zone that gets work again. */
export function undrained(before: ZoneRecord): ZoneRecord {
  const { draining: _draining, ...rest } = before;
  return rest.state === 'draining' ? { ...rest, state: 'up' } : rest;
}

/** The record of a zone that has been given its share. */
export function settled(before: ZoneRecord): ZoneRecord {
  const { joining: _joining, ...rest } = before;
  return rest;
}

/** The records of zones in reserve that were given work. */
export function woken(
  zones: readonly ZoneRecord[],
  busy: ReadonlySet<string>,
): ZoneRecord[] {
  return zones
    .filter((zone) => zone.state === 'standby' && busy.has(zone.uuid))
    .map((zone) => ({ ...zone, state: 'up' }));
}

/**
 * The records of zones whose UL3 a lost zone answered for: its heir does now,
 * where it can.
 * @param can whether the heir could answer for that zone's UL3
 */
export function passedOn(
  zones: readonly ZoneRecord[],
  lost: string,
  heir: ZoneRecord | null,
  can: (zone: ZoneRecord, heir: ZoneRecord) => boolean,
): ZoneRecord[] {
  return zones
    .filter((zone) => zone.ul3_served_by === lost && zone.uuid !== lost)
    .map((zone) => {
      const { ul3_served_by: _old, ...rest } = zone;
      if (heir === null || !can(zone, heir)) return rest;
      return { ...rest, ul3_served_by: heir.uuid };
    });
}
