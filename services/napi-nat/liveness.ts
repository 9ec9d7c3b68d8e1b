// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: is a zone alive?
 *
 * A zone is up while its *data path* answers (design 4.3). Two witnesses: the
 * engine's answers to VXLAN probes, and vxlnatd's heartbeats with the engine's
 * progress counter. This file is the pure judgement of one zone; time is an
 * argument, and nothing here sends, stores or logs.
 *
 *   unknown --evidence--> up --misses--> down --good run + hold-down--> up
 *
 * Rules:
 *  - Down when `probe.misses` probes in a row went unanswered by a zone that
 *    has answered one before.
 *  - Down when heartbeats arrive but the progress counter stands still for
 *    `heartbeat.misses` of them, unless probes are being answered: an answer
 *    comes from the engine itself and outweighs a counter.
 *  - Down when heartbeats stop for interval x misses, unless probes are being
 *    answered: a dead control process does not stop packets, and moving its
 *    work would cut every SNAT flow of a zone that forwards.
 *  - A zone that gives no sign at all gets `grace_ms` before it is down: after
 *    a restart of napi-nat every zone looks like that for a moment.
 *  - Up again after `recovery` good observations in a row, with the next sign
 *    of life after the hold-down has passed. Hold-down doubles with each fall and is forgotten
 *    after a long enough quiet time: a flapping zone moves its work once.
 *
 *
 * While another zone serves this one's UL3 by takeover, whoever answers there
 * is the other: the zone is not probed (`unprobed`) and returns by heartbeats
 * whose counter rises. When it has its UL3 back it must answer a probe within
 * the grace (`probedAgain`), and inherits nothing before (`isUnproven`).
 *
 * The observer must not mistake its own faults for others' silence. When it
 * slept, nothing is judged (`overslept`). When its own link is cut, all zones
 * fall silent together: work goes only to a zone that answers *now*
 * (`answersNow`), so then nothing is moved at all.
 */

export interface LivenessConfig {
  probe: { interval_ms: number; misses: number };
  heartbeat: { interval_ms: number; misses: number };
  /** Good observations in a row before a zone that was down is up. */
  recovery: number;
  /** Silence that is forgiven when nothing is known of a zone. */
  grace_ms: number;
  hold_down_ms: number;
  hold_down_max_ms: number;
}

/** What is not in the configuration file, and why it need not be. */
export const LIVENESS_DEFAULTS = {
  recovery: 5,
  grace_ms: 10_000,
  hold_down_ms: 1_000,
  hold_down_max_ms: 60_000,
} as const;

export type Verdict = 'unknown' | 'up' | 'down';

/** Why a zone was found down. */
export type Cause = 'probes missed' | 'heartbeats missed' | 'no progress';

/** What happened, as the observer saw it. */
export type Observation =
  | { type: 'probe_answered' }
  | { type: 'probe_missed' }
  | { type: 'heartbeat'; progress: number }
  | { type: 'tick' };

/** What is known of one zone; times are monotonic milliseconds. */
export interface Liveness {
  verdict: Verdict;
  cause: Cause | null;
  /** When the verdict was last reached. */
  since: number;
  /** Probes missed in a row. */
  missed: number;
  last_probe_ok: number | null;
  /** By when it must answer a probe, after it got its UL3 back. */
  probe_due: number | null;
  last_heartbeat: number | null;
  progress: number | null;
  /** Heartbeats in a row whose progress did not rise. */
  frozen: number;
  /** Good observations in a row. */
  good: number;
  /** How long the next fall will keep the zone down. */
  hold_down_ms: number;
}

/** A zone of which nothing is known yet. */
export function unknownLiveness(now: number, config: LivenessConfig): Liveness {
  return {
    verdict: 'unknown',
    cause: null,
    since: now,
    missed: 0,
    last_probe_ok: null,
    probe_due: null,
    last_heartbeat: null,
    progress: null,
    frozen: 0,
    good: 0,
    hold_down_ms: config.hold_down_ms,
  };
}

/** What is left to go by when the zone's UL3 is another's. */
export function unprobed(state: Liveness): Liveness {
  return { ...state, last_probe_ok: null, probe_due: null, missed: 0, good: 0 };
}

/** The zone has its UL3 back: it must show so before long. */
export function probedAgain(
  state: Liveness,
  now: number,
  config: LivenessConfig,
): Liveness {
  return { ...unprobed(state), probe_due: now + config.grace_ms };
}

/** Whether probes are being answered now. */
export function probesAnswered(
  state: Liveness,
  config: LivenessConfig,
): boolean {
  return state.last_probe_ok !== null && state.missed < config.probe.misses;
}

/**
 * Whether a zone is back by its heartbeats alone and has yet to show that
 * packets reach it.
 */
export function isUnproven(state: Liveness): boolean {
  return state.probe_due !== null;
}

/**
 * Whether a zone's newest sign of life is as new as can be: what a zone that
 * is to inherit work must show.
 * @param now monotonic milliseconds
 */
export function answersNow(
  state: Liveness,
  now: number,
  config: LivenessConfig,
): boolean {
  if (state.verdict !== 'up' || isUnproven(state)) return false;
  if (state.last_probe_ok !== null) return state.missed === 0;
  if (state.last_heartbeat === null) return false;
  return now - state.last_heartbeat <= 2 * config.heartbeat.interval_ms;
}

/**
 * Whether the observer itself stood still since its last look, so that what
 * seems missed may only be unread.
 * @param gap milliseconds since the last look
 * @param interval what the gap should be
 */
export function overslept(gap: number, interval: number): boolean {
  return gap > interval * 1.5 + 20;
}

/** Takes the observation in; says nothing about the verdict. */
function noted(
  state: Liveness,
  seen: Observation,
  now: number,
  config: LivenessConfig,
): Liveness {
  switch (seen.type) {
    case 'probe_answered':
      return {
        ...state,
        missed: 0,
        last_probe_ok: now,
        probe_due: null,
        frozen: 0,
        good: state.good + 1,
      };
    case 'probe_missed':
      return { ...state, missed: state.missed + 1, good: 0 };
    case 'heartbeat': {
      const rises = state.progress === null || seen.progress !== state.progress;
      // Where probes are answered they alone count towards recovery; where
      // they have stopped, a heartbeat proves nothing about the data path.
      const counts = rises && state.last_probe_ok === null;
      return {
        ...state,
        last_heartbeat: now,
        progress: seen.progress,
        frozen: rises ? 0 : state.frozen + 1,
        good: counts ? state.good + 1 : rises ? state.good : 0,
      };
    }
    case 'tick': {
      const quiet = state.verdict === 'up' && now - state.since;
      const calm = quiet !== false && quiet > config.hold_down_max_ms;
      return calm ? { ...state, hold_down_ms: config.hold_down_ms } : state;
    }
  }
}

/** Why the zone should be down by what is known, or null. */
function findCause(
  state: Liveness,
  now: number,
  config: LivenessConfig,
): Cause | null {
  if (state.last_probe_ok !== null) {
    return state.missed >= config.probe.misses ? 'probes missed' : null;
  }
  if (state.probe_due !== null && now > state.probe_due) {
    return 'probes missed';
  }
  if (state.frozen >= config.heartbeat.misses) return 'no progress';
  const limit = config.heartbeat.interval_ms * config.heartbeat.misses;
  if (state.last_heartbeat === null) {
    const waited = state.verdict === 'unknown' && now - state.since;
    return waited !== false && waited > config.grace_ms
      ? 'heartbeats missed'
      : null;
  }
  return now - state.last_heartbeat > limit ? 'heartbeats missed' : null;
}

/**
 * One observation of one zone.
 * @param now monotonic milliseconds, never before an earlier call's
 * @returns the new state; its `verdict` is the judgement
 */
export function observe(
  before: Liveness,
  seen: Observation,
  now: number,
  config: LivenessConfig,
): Liveness {
  const state = noted(before, seen, now, config);
  const cause = findCause(state, now, config);
  if (cause !== null) {
    if (state.verdict === 'down') return { ...state, cause };
    return { ...state, verdict: 'down', cause, since: now, good: 0 };
  }
  if (state.verdict === 'up') return state;
  const needed = state.verdict === 'unknown' ? 1 : config.recovery;
  if (state.good < needed) return state;
  const fell = state.verdict === 'down';
  // A zone that dies within its hold-down must not be raised by time alone.
  if (fell && seen.type === 'tick') return state;
  if (fell && now - state.since < state.hold_down_ms) return state;
  const doubled = Math.min(state.hold_down_ms * 2, config.hold_down_max_ms);
  return {
    ...state,
    verdict: 'up',
    cause: null,
    since: now,
    hold_down_ms: fell ? doubled : state.hold_down_ms,
  };
}
