// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What must hold after every event. What an event touched is looked at each
 * time, everything now and then.
 */

import { mayShare } from '../../services/napi-nat/placement.js';
import { CONFIG, type Leader } from './leader.js';
import { announces, connected, LEASE_MS, type Machine } from './machines.js';
import type { Fabric, Model, Public } from './model.js';

/** Longer than a zone needs to ask its peers. */
const ASKED_MS = LEASE_MS + 500;
/** Falls of one zone in a minute that damping lets happen. */
const FALLS_A_MINUTE = 8;

function ofPublic(model: Model, place: Public, faults: string[]): void {
  const { ip, zone_uuid: zone } = place;
  if (!model.zones.has(zone)) faults.push(`${ip} is on ${zone}, which is gone`);
  if (!model.at.get(zone)?.has(ip))
    faults.push(`${ip} is not listed at ${zone}`);
  if (place.fabrics.size !== place.load.fabrics) {
    faults.push(`${ip} counts ${place.load.fabrics} fabrics`);
  }
  const owners = new Set<string>();
  for (const id of place.fabrics) {
    const fabric = model.fabrics.get(id) as Fabric;
    owners.add(fabric.owner);
    if (fabric.router !== zone) {
      faults.push(`router of ${id} at ${fabric.router}, ${ip} at ${zone}`);
    }
    for (const aip of fabric.aips) {
      const at = model.aips.get(aip)?.zone;
      if (at !== zone) faults.push(`AIP ${aip} at ${at}, router at ${zone}`);
    }
  }
  const most = model.policy.max_fabrics_per_public;
  const shared = [...owners].every((each) => mayShare(each, model.policy));
  if (!shared && owners.size > 1) faults.push(`${ip} is not its owner's alone`);
  if (shared && place.fabrics.size > most) faults.push(`${ip} is too full`);
}

/** Zones by themselves: cheap enough for every event. */
function ofZones(model: Model, faults: string[]): void {
  let serving = 0;
  let work = 0;
  const stuck: string[] = [];
  for (const { uuid, state, ul3_served_by: by } of model.zones.values()) {
    const { fabrics } = model.load(uuid);
    work += fabrics;
    if (state === 'up' || state === 'standby' || state === 'draining') {
      serving += 1;
    } else if (fabrics > 0) stuck.push(uuid);
    if (by === undefined) continue;
    const heir = model.zones.get(by);
    if (state !== 'down')
      faults.push(`${uuid} is ${state}, its UL3 is ${by}'s`);
    if (heir === undefined || heir.state === 'down' || by === uuid) {
      faults.push(`${by} serves the UL3 of ${uuid} and does not serve itself`);
    }
    if (heir?.ul3_served_by !== undefined) faults.push(`${by} is served too`);
  }
  if (work !== model.fabrics.size) {
    faults.push(`loads say ${work} fabrics, there are ${model.fabrics.size}`);
  }
  if (serving > 0 && stuck.length > 0) {
    faults.push(`${stuck} do not serve and have work; ${serving} could`);
  }
}

/**
 * No public IP is announced twice for longer than fencing takes, and none is
 * withdrawn where nobody decides. To be asked when every zone has had its turn
 * since the last event.
 */
export function announcements(scene: Scene): string[] {
  const { model, machines, up, now } = scene;
  const faults: string[] = [];
  for (const lone of machines.values()) {
    if (!lone.alive || connected(lone, up) || lone.lostAt === null) continue;
    if (!model.zones.has(lone.uuid)) continue;
    if (now - lone.lostAt < ASKED_MS) continue;
    const served = model.servedSince(lone.uuid, lone.position);
    if (!up && lone.underlay && served && lone.fence.all) {
      faults.push(`${lone.uuid} withdrew although nobody decided`);
    }
    for (const ip of announces(lone)) {
      const place = model.publics.get(ip);
      if (place === undefined || place.zone_uuid === lone.uuid) continue;
      const [since] = place.history.at(-1) as [number, string];
      const zone = place.zone_uuid;
      const other = machines.get(zone) as Machine;
      // A peer tells what it has heard itself.
      if (now - Math.max(since, other.foundAt) < ASKED_MS) continue;
      if (up && connected(other, up) && other.underlay) {
        faults.push(`${ip} is announced by ${lone.uuid} and ${zone}`);
      }
    }
  }
  return faults;
}

/** A zone that flaps moves its work a few times and then rests. */
function ofFlapping(leader: Leader, now: number, faults: string[]): void {
  const falls = new Map<string, number>();
  for (const [at, zone] of leader.falls) {
    if (now - at > 60_000) continue;
    const count = (falls.get(zone) ?? 0) + 1;
    falls.set(zone, count);
    if (count > FALLS_A_MINUTE) faults.push(`${zone} fell ${count} times`);
  }
  for (const [, zone, after] of leader.raises) {
    if (after < CONFIG.hold_down_ms) {
      faults.push(`${zone} was up again after ${after} ms`);
    }
  }
  leader.raises.length = 0;
}

export interface Scene {
  model: Model;
  leader: Leader;
  machines: Map<string, Machine>;
  up: boolean;
  now: number;
}

/** @returns what is wrong, in words */
export function violations(scene: Scene, whole: boolean): string[] {
  const { model, leader, now } = scene;
  const faults: string[] = [];
  const ips = whole ? [...model.publics.keys()] : model.touched;
  for (const ip of ips) {
    const place = model.publics.get(ip);
    if (place !== undefined) ofPublic(model, place, faults);
  }
  model.touched.clear();
  ofZones(model, faults);
  ofFlapping(leader, now, faults);
  return faults;
}
