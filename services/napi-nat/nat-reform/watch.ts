// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What this process knows of each zone: its registration as last committed,
 * what it last reported, and how alive it seems. Memory only; the observations
 * themselves come from monitor.ts.
 */

import type { Heartbeat, NatZone } from '#lib/model/dataplane.js';
import type { FailoverResult } from '../failover.js';
import {
  type Liveness,
  type LivenessConfig,
  type Observation,
  observe,
  probedAgain,
  probesAnswered,
  unknownLiveness,
  unprobed,
} from '../liveness.js';
import { hears } from './decide.js';

/** The last failover of a zone. */
export interface LastFailover extends Omit<FailoverResult, 'moved'> {
  /** ISO 8601. */
  at: string;
  cause: string;
  /** From the last sign of life to the verdict. */
  detect_ms: number;
  /** From the verdict to the committed batch. */
  decide_ms: number;
}

/** `status` of a zone in `GET /nat_zones`. */
export interface ZoneStatus {
  verdict: Liveness['verdict'];
  digest: string | null;
  position: number | null;
  in_sync: boolean;
  last_heartbeat_ms: number | null;
  last_probe_ms: number | null;
  probe_ok: boolean;
  /** How long its next fall will keep it down at least. */
  hold_down_ms: number;
  announced: string[];
  flows: number | null;
  last_failover?: LastFailover;
}

/** One zone as watched. */
export interface WatchedZone {
  zone: NatZone;
  liveness: Liveness;
  beat: Heartbeat | null;
  /** Who answered for its UL3, up to which position; null once that knows. */
  lent: { to: string; until: number } | null;
  /** The decision about it that is under way; never rejects. */
  busy: Promise<void> | null;
  /** Its loss was reported although nothing could be done. */
  lamented: boolean;
  /** It may have a share to be given: the store knows. */
  joining: boolean;
  failover: LastFailover | null;
}

/** Starts watching a zone. */
export function watchedZone(
  zone: NatZone,
  now: number,
  config: LivenessConfig,
): WatchedZone {
  return {
    zone,
    liveness: unknownLiveness(now, config),
    beat: null,
    lent: null,
    busy: null,
    lamented: false,
    joining: true,
    failover: null,
  };
}

/**
 * Takes in a zone's new registration. When its UL3 changes hands, what was
 * seen there before says nothing any more.
 * @param position of the journal, where it is said
 */
export function register(
  watched: WatchedZone,
  zone: NatZone,
  position: number,
  now: number,
  config: LivenessConfig,
): void {
  const to = watched.zone.ul3_served_by;
  const takes = zone.ul3_served_by !== null;
  watched.zone = zone;
  watched.joining = true;
  if ((to !== null) === takes) return;
  watched.lent = to === null ? null : { to, until: position };
  if (takes) watched.liveness = unprobed(watched.liveness);
  else watched.liveness = probedAgain(watched.liveness, now, config);
}

/**
 * Whether answers to a zone's probes may be another's: who answered for its UL3
 * has not said yet that it knows better, and may go on for a moment.
 * @param holder the other, as watched
 * @param now monotonic milliseconds
 */
export function isStillLent(
  watched: WatchedZone,
  holder: WatchedZone | undefined,
  now: number,
  config: LivenessConfig,
): boolean {
  const { lent } = watched;
  if (lent === null) return false;
  if (holder !== undefined && hears(holder.liveness, now, config)) {
    if ((holder.beat?.position ?? 0) < lent.until) return true;
  }
  watched.lent = null;
  return false;
}

/** Takes in an observation; tells whether the verdict changed. */
export function see(
  watched: WatchedZone,
  seen: Observation,
  now: number,
  config: LivenessConfig,
): boolean {
  const before = watched.liveness.verdict;
  watched.liveness = observe(watched.liveness, seen, now, config);
  return watched.liveness.verdict !== before;
}

/** The last sign of life, monotonic milliseconds. */
export function lastSign(liveness: Liveness): number {
  return Math.max(
    liveness.last_probe_ok ?? Number.NEGATIVE_INFINITY,
    liveness.last_probe_ok === null
      ? (liveness.last_heartbeat ?? Number.NEGATIVE_INFINITY)
      : Number.NEGATIVE_INFINITY,
  );
}

function ago(then: number | null, now: number): number | null {
  return then === null ? null : Math.round(now - then);
}

/**
 * A zone's status for clients.
 * @param digestAt the digest expected at a journal position, null if unknown
 */
export function zoneStatus(
  watched: WatchedZone,
  digestAt: (position: number) => string | null,
  now: number,
  config: LivenessConfig,
): ZoneStatus {
  const { beat, liveness, failover } = watched;
  return {
    verdict: liveness.verdict,
    digest: beat?.digest ?? null,
    position: beat?.position ?? null,
    in_sync: beat !== null && digestAt(beat.position) === beat.digest,
    last_heartbeat_ms: ago(liveness.last_heartbeat, now),
    last_probe_ms: ago(liveness.last_probe_ok, now),
    probe_ok: probesAnswered(liveness, config),
    hold_down_ms: liveness.hold_down_ms,
    announced: beat?.announced ?? [],
    flows: beat?.flows ?? null,
    ...(failover === null ? {} : { last_failover: failover }),
  };
}
