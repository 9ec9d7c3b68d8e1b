// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What is to be done about a zone, from what is observed of all: the step from
 * liveness.ts (one zone) to failover.ts (the store). Pure.
 */

import type { NatZone } from '#lib/model/dataplane.js';
import { answersNow, type Liveness, type LivenessConfig } from '../liveness.js';

/** One zone as decided and as observed. */
export interface Sight {
  zone: Pick<NatZone, 'uuid' | 'state'>;
  liveness: Liveness;
  /** It has all rules that it should have by now. */
  acknowledged: boolean;
}

/**
 * Whether a zone's heartbeats arrive: only one that hears what it is to do is
 * raised.
 * @param now monotonic milliseconds
 */
export function hears(
  { last_heartbeat: last }: Liveness,
  now: number,
  { heartbeat }: LivenessConfig,
): boolean {
  return (
    last !== null && now - last <= heartbeat.interval_ms * heartbeat.misses
  );
}

/**
 * Whether heartbeats have not come for so long that a zone which answers
 * probes must be taken to forward what it has, and to hear nothing: it is
 * given no new work, and nothing is taken from it that it would go on
 * announcing.
 * @param now monotonic milliseconds
 */
export function isDeaf(
  { last_heartbeat: last, since }: Liveness,
  now: number,
  { grace_ms: grace }: LivenessConfig,
): boolean {
  return now - (last ?? since) > grace;
}

/**
 * `raise`: it is alive, hears us and is not serving. `drop`: it is lost and its work can
 * move. `lament`: it is lost and nobody could take over.
 */
export type Decision = 'raise' | 'drop' | 'lament' | null;

/** Whether the zone is to carry work, by what was decided. */
export function canServe({ zone }: Pick<Sight, 'zone'>): boolean {
  return ['up', 'standby', 'draining'].includes(zone.state);
}

/**
 * Zones that must inherit nothing now. Those that do not answer, in any case;
 * those that lack rules too, as long as a zone is left that has them (make
 * before break): a zone that lags serves better than one that is dead.
 * @param lost the zone whose work is to move
 * @param now monotonic milliseconds
 */
export function suspects(
  all: readonly Sight[],
  lost: string,
  now: number,
  config: LivenessConfig,
): Set<string> {
  const silent = all.filter(
    ({ liveness }) => !answersNow(liveness, now, config),
  );
  const none = new Set(silent.map(({ zone }) => zone.uuid));
  const heirs = all.filter(
    (each) =>
      each.zone.uuid !== lost && canServe(each) && !none.has(each.zone.uuid),
  );
  if (!heirs.some(({ acknowledged }) => acknowledged)) return none;
  for (const each of heirs) {
    if (!each.acknowledged) none.add(each.zone.uuid);
  }
  return none;
}

/**
 * @param one the zone to decide about, of `all`
 * @param now monotonic milliseconds
 */
export function decide(
  one: Sight,
  all: readonly Sight[],
  now: number,
  config: LivenessConfig,
): Decision {
  const { verdict } = one.liveness;
  const { state, uuid } = one.zone;
  const idle = state === 'new' || state === 'down';
  if (verdict === 'up') {
    return idle && hears(one.liveness, now, config) ? 'raise' : null;
  }
  if (verdict !== 'down' || state === 'down') return null;
  const silent = suspects(all, uuid, now, config);
  const heir = all.some(
    (each) =>
      each.zone.uuid !== uuid && canServe(each) && !silent.has(each.zone.uuid),
  );
  return heir ? 'drop' : 'lament';
}
