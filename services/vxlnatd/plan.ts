// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The way from what is applied to what is desired: an ordered list of steps.
 * Pure. The order is the point:
 *
 *   1 stop answering for what is no longer ours     (no traffic drawn in vain)
 *   2 remove 1:1 entries, then rules, then remotes  (a public IP is free before
 *                                                    anything else gets it)
 *   3 route new public IPs into the engine
 *   4 set rules, then remotes, then 1:1 entries     (a 1:1 entry needs its rule)
 *   5 serve UL3 addresses, then take them           (ready before packets come)
 *   6 answer for public IPs                         (make before break)
 *   7 stop routing public IPs that are gone         (until then the engine
 *                                                    drops and counts them)
 *
 * At no point does the engine hold a rule that is not in the one set or the
 * other, and it forwards nothing without a rule, so no private address leaves.
 * Planning after every step has succeeded gives an empty list.
 *
 * A plan looks only at what is said to have been touched, which takes no time
 * however much there is; survey.ts finds what differs when nobody can say.
 */

import type { FabricRule, OneToOne } from '#lib/model/dataplane.js';
import type { Limits } from '#lib/model/rule-options.js';
import type { Desired, Ips, Remote } from './desired.js';
import { entryKey, ruleKey, type Touched } from './world.js';

/** A step on the engine, in the model's words. */
export type EngineStep =
  | { kind: 'set_rule'; rule: FabricRule }
  | { kind: 'remove_rule'; rule: FabricRule }
  | { kind: 'set_entry'; entry: OneToOne }
  | { kind: 'remove_entry'; entry: OneToOne }
  | { kind: 'set_remote'; remote: Remote }
  | { kind: 'remove_remote'; remote: Remote }
  | { kind: 'set_limits'; vnet: number; limits: Limits | null }
  | { kind: 'drain' | 'undrain'; ip: string }
  | { kind: 'add_ul3' | 'remove_ul3'; ip: string };

/** A step in the kernel or on the wire. */
export type OsStep = {
  kind:
    | 'route'
    | 'unroute'
    | 'announce'
    | 'withdraw'
    | 'take'
    | 'give_up'
    | 'claim'
    | 'unclaim';
  ip: string;
};

export type Step = EngineStep | OsStep;

/** What has been done so far: `Desired` with sets that grow and shrink. */
export interface Applied {
  readonly ul3s: Set<string>;
  readonly takeovers: Set<string>;
  readonly claims: Set<string>;
  readonly rules: Map<string, FabricRule>;
  readonly entries: Map<string, OneToOne>;
  readonly remotes: Map<string, Remote>;
  readonly limits: Map<number, Limits>;
  readonly drains: Set<string>;
  readonly routed: Set<string>;
  readonly announced: Set<string>;
}

/** Nothing applied: a new engine and a clean kernel. */
export function nothingApplied(): Applied {
  return {
    ul3s: new Set(),
    takeovers: new Set(),
    claims: new Set(),
    rules: new Map(),
    entries: new Map(),
    remotes: new Map(),
    limits: new Map(),
    drains: new Set(),
    routed: new Set(),
    announced: new Set(),
  };
}

/** Those of `of` that `from` lacks; only some are looked at, when given. */
function missing(from: Ips, of: Ips, only: Iterable<string> = of): string[] {
  const found: string[] = [];
  for (const ip of only) if (of.has(ip) && !from.has(ip)) found.push(ip);
  return found;
}

/** Whether the engine would do the same by both. */
export function sameRule(a: FabricRule, b: FabricRule): boolean {
  return (
    a.vlan_id === b.vlan_id &&
    a.gateway === b.gateway &&
    a.router_mac === b.router_mac &&
    a.nat_reform_public === b.nat_reform_public &&
    JSON.stringify(a.options) === JSON.stringify(b.options)
  );
}

/** As `sameRule`. */
export function sameEntry(a: OneToOne, b: OneToOne): boolean {
  return a.vlan_id === b.vlan_id && a.public_ip === b.public_ip;
}

function sameRemote(a: Remote, b: Remote): boolean {
  return a.mac === b.mac && a.ul3_ip === b.ul3_ip && a.ul3_port === b.ul3_port;
}

/** Values of `of` that `from` lacks or has differently. */
function changed<T>(
  from: ReadonlyMap<string, T>,
  of: ReadonlyMap<string, T>,
  same: (a: T, b: T) => boolean,
  only: Iterable<string> = of.keys(),
): T[] {
  const found: T[] = [];
  for (const key of only) {
    const value = of.get(key);
    if (value === undefined) continue;
    const other = from.get(key);
    if (other === undefined || !same(other, value)) found.push(value);
  }
  return found;
}

/** Values of `of` whose keys `from` lacks. */
function gone<T>(
  from: ReadonlyMap<string, T>,
  of: ReadonlyMap<string, T>,
  only?: Iterable<string>,
): T[] {
  // One that is there is the same as any other.
  return changed(from, of, () => true, only);
}

/** Steps that take away: 1 and 2 of the order above. */
function removals(
  desired: Desired,
  applied: Applied,
  touched: Touched,
): Step[] {
  const os = (kind: OsStep['kind'], ips: string[]): Step[] =>
    ips.map((ip) => ({ kind, ip }));
  return [
    ...os(
      'withdraw',
      missing(desired.announced, applied.announced, touched.ips),
    ),
    ...os('unclaim', missing(desired.claims, applied.claims)),
    ...os('give_up', missing(desired.takeovers, applied.takeovers)),
    ...missing(desired.ul3s, applied.ul3s).map(
      (ip): Step => ({ kind: 'remove_ul3', ip }),
    ),
    // One that changes is removed as well: two entries may swap public IPs.
    ...changed(
      desired.entries,
      applied.entries,
      sameEntry,
      touched.entries,
    ).map((entry): Step => ({ kind: 'remove_entry', entry })),
    ...gone(desired.rules, applied.rules, touched.rules).map(
      (rule): Step => ({ kind: 'remove_rule', rule }),
    ),
    ...gone(desired.remotes, applied.remotes).map(
      (remote): Step => ({ kind: 'remove_remote', remote }),
    ),
  ];
}

/** Limits and drains: they hold with or without a rule, in any order. */
function conditions(desired: Desired, applied: Applied): Step[] {
  const steps: Step[] = [];
  for (const vnet of applied.limits.keys()) {
    if (!desired.limits.has(vnet)) {
      steps.push({ kind: 'set_limits', vnet, limits: null });
    }
  }
  for (const [vnet, limits] of desired.limits) {
    if (JSON.stringify(applied.limits.get(vnet)) !== JSON.stringify(limits)) {
      steps.push({ kind: 'set_limits', vnet, limits });
    }
  }
  return [
    ...steps,
    ...missing(desired.drains, applied.drains).map(
      (ip): Step => ({ kind: 'undrain', ip }),
    ),
    ...missing(applied.drains, desired.drains).map(
      (ip): Step => ({ kind: 'drain', ip }),
    ),
  ];
}

/**
 * The steps from `applied` to `desired`, in an order that never leaks.
 * @param touched all that can differ. UL3 addresses, limits, drains and given
 *   remotes are few, or from a file: always looked at
 * @returns an empty list when they agree
 */
export function plan(
  desired: Desired,
  applied: Applied,
  touched: Touched,
): Step[] {
  const { ips } = touched;
  const os = (kind: OsStep['kind'], all: string[]): Step[] =>
    all.map((ip) => ({ kind, ip }));
  return [
    ...removals(desired, applied, touched),
    ...conditions(desired, applied),
    ...os('route', missing(applied.routed, desired.routed, ips)),
    ...changed(applied.rules, desired.rules, sameRule, touched.rules).map(
      (rule): Step => ({ kind: 'set_rule', rule }),
    ),
    ...changed(applied.remotes, desired.remotes, sameRemote).map(
      (remote): Step => ({ kind: 'set_remote', remote }),
    ),
    ...changed(
      applied.entries,
      desired.entries,
      sameEntry,
      touched.entries,
    ).map((entry): Step => ({ kind: 'set_entry', entry })),
    ...missing(applied.ul3s, desired.ul3s).map(
      (ip): Step => ({ kind: 'add_ul3', ip }),
    ),
    ...os('take', missing(applied.takeovers, desired.takeovers)),
    ...os('claim', missing(applied.claims, desired.claims)),
    ...os('announce', missing(applied.announced, desired.announced, ips)),
    ...os('unroute', missing(desired.routed, applied.routed, ips)),
  ];
}

/** Whether a step is for the engine. */
export function isEngineStep(step: Step): step is EngineStep {
  return (
    'rule' in step ||
    'entry' in step ||
    'remote' in step ||
    step.kind === 'set_limits' ||
    step.kind === 'drain' ||
    step.kind === 'undrain' ||
    step.kind === 'add_ul3' ||
    step.kind === 'remove_ul3'
  );
}

function advanceSet(applied: Applied, step: OsStep): void {
  switch (step.kind) {
    case 'route':
      applied.routed.add(step.ip);
      break;
    case 'unroute':
      applied.routed.delete(step.ip);
      break;
    case 'announce':
      applied.announced.add(step.ip);
      break;
    case 'withdraw':
      applied.announced.delete(step.ip);
      break;
    case 'take':
      applied.takeovers.add(step.ip);
      break;
    case 'give_up':
      applied.takeovers.delete(step.ip);
      break;
    case 'claim':
      applied.claims.add(step.ip);
      break;
    case 'unclaim':
      applied.claims.delete(step.ip);
      break;
  }
}

/** Records in `applied` that a step has succeeded. */
export function advance(applied: Applied, step: Step): void {
  switch (step.kind) {
    case 'set_rule':
      applied.rules.set(ruleKey(step.rule), step.rule);
      break;
    case 'remove_rule':
      applied.rules.delete(ruleKey(step.rule));
      break;
    case 'set_entry':
      applied.entries.set(
        entryKey(step.entry.vnet_id, step.entry.private_ip),
        step.entry,
      );
      break;
    case 'remove_entry':
      applied.entries.delete(
        entryKey(step.entry.vnet_id, step.entry.private_ip),
      );
      break;
    case 'set_remote':
      applied.remotes.set(
        entryKey(step.remote.vnet_id, step.remote.ip),
        step.remote,
      );
      break;
    case 'remove_remote':
      applied.remotes.delete(entryKey(step.remote.vnet_id, step.remote.ip));
      break;
    case 'set_limits':
      if (step.limits === null) applied.limits.delete(step.vnet);
      else applied.limits.set(step.vnet, step.limits);
      break;
    case 'drain':
      applied.drains.add(step.ip);
      break;
    case 'undrain':
      applied.drains.delete(step.ip);
      break;
    case 'add_ul3':
      applied.ul3s.add(step.ip);
      break;
    case 'remove_ul3':
      applied.ul3s.delete(step.ip);
      break;
    default:
      advanceSet(applied, step);
  }
}

/** Notes what a step that failed is about: it has to be planned again. */
export function touch(touched: Touched, step: Step): void {
  if ('rule' in step) touched.rules.add(ruleKey(step.rule));
  else if ('entry' in step) {
    touched.entries.add(entryKey(step.entry.vnet_id, step.entry.private_ip));
  } else if ('ip' in step) touched.ips.add(step.ip);
}
