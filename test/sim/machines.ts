// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The zones as machines: alive or not, cut off or not, what each announces.
 * The truth that the control plane has to find out by probes and heartbeats.
 */

import {
  type Fence,
  fenceOf,
  OPEN,
  type PeerAnswer,
} from '../../services/vxlnatd/fence/fence.js';
import type { Model } from './model.js';

/** How long an answered heartbeat lets a zone announce without asking. */
export const LEASE_MS = 2000;

export interface Machine {
  uuid: string;
  alive: boolean;
  /** Its links to the control plane and to the underlay. */
  control: boolean;
  underlay: boolean;
  /** It does not apply the rules that it is sent. */
  lags: boolean;
  progress: number;
  leasedUntil: number;
  /** Since when it has been without a lease and could know it. */
  lostAt: number | null;
  /** Since when it has been alive and heard the control plane. */
  foundAt: number;
  fence: Fence;
  /** What it last knew to be its own; kept while it hears nothing. */
  known: ReadonlySet<string>;
  /** Up to when it knows. */
  position: number;
}

export function newMachine(uuid: string, now: number): Machine {
  return {
    uuid,
    alive: true,
    control: true,
    underlay: true,
    lags: false,
    progress: 0,
    leasedUntil: now,
    lostAt: null,
    foundAt: now,
    fence: OPEN,
    known: new Set(),
    position: now,
  };
}

/** Whether a zone hears the control plane. */
export function connected(machine: Machine, up: boolean): boolean {
  return machine.alive && machine.control && up;
}

/** It hears no more: the set that it was given is the model's, now a copy. */
export function keepKnown(machine: Machine): void {
  machine.known = new Set(machine.known);
}

/** One heartbeat interval of one zone's daemon. */
export function live(
  machine: Machine,
  all: Map<string, Machine>,
  model: Model,
  up: boolean,
  now: number,
): void {
  if (!machine.alive) return;
  machine.progress += 1;
  if (connected(machine, up)) {
    if (machine.lostAt !== null) machine.foundAt = now;
    machine.leasedUntil = now + LEASE_MS;
    machine.known = model.at.get(machine.uuid) ?? new Set();
    machine.lostAt = null;
    machine.position = now;
    machine.fence = OPEN;
    return;
  }
  if (machine.lostAt === null) {
    keepKnown(machine);
    machine.lostAt = now;
  }
  const peers = [...all.values()].filter(
    (each) => each !== machine && model.zones.has(each.uuid),
  );
  const answering = machine.underlay
    ? peers.filter((each) => each.alive && each.underlay)
    : [];
  machine.fence = fenceOf({
    leased: machine.leasedUntil > now,
    position: machine.position,
    asked: peers.length,
    heard: machine.underlay,
    // Peers that know the same say the same: once is enough.
    answers: [...new Set(answering.map(({ position }) => position))].map(
      (position) => answer(model, machine, position),
    ),
  });
}

/** What a peer says that knows everything up to a time. */
function answer(model: Model, of: Machine, position: number): PeerAnswer {
  if (position <= of.position) return { position, serves: true, lost: [] };
  const lost = [...of.known].filter((ip) => {
    const history = model.publics.get(ip)?.history;
    const known = history?.findLast(([at]) => at <= position);
    return known !== undefined && known[1] !== of.uuid;
  });
  return { position, serves: model.servedAt(of.uuid, position), lost };
}

/** What a zone announces on the external network now. */
export function announces({ alive, fence, known }: Machine): string[] {
  if (!alive || fence.all) return [];
  return [...known].filter((ip) => !fence.lost.has(ip));
}
