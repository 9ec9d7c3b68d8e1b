// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What a change costs a zone that has everything applied: folding it into the
 * world and planning for what it touches, beside a survey of everything, whose
 * longest turn is what a heartbeat may have to wait for.
 */

import { createReadStream } from 'node:fs';
import { planAll } from '#test/plan-all.js';
import { type Desired, desiredOf } from '../../services/vxlnatd/desired.js';
import {
  type Applied,
  advance,
  nothingApplied,
  plan,
} from '../../services/vxlnatd/plan.js';
import { readWorld } from '../../services/vxlnatd/snapshot.js';
import { survey } from '../../services/vxlnatd/survey.js';
import { fold, untouched } from '../../services/vxlnatd/world.js';
import { type Row, row } from './report.js';

const CHANGES = 10_000;
const SURVEYS = 7;

/** Milliseconds that something takes. */
function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

/** Milliseconds of each turn of a survey. */
function turnsOf(desired: Desired, applied: Applied): number[] {
  const turns = survey(desired, applied);
  const took: number[] = [];
  for (let done = false; !done; ) {
    took.push(timed(() => (done = turns.next().done === true)));
  }
  return took;
}

/**
 * @param file a zone's snapshot
 * @param zone whose it is
 */
export async function planRows(file: string, zone: string): Promise<Row[]> {
  const { world } = await readWorld(createReadStream(file));
  const desired = desiredOf(world, { zone_uuid: zone, ul3_ip: '127.0.0.1' });
  const applied = nothingApplied();
  for (const step of planAll(desired, applied)) advance(applied, step);
  const surveys = Array.from({ length: SURVEYS }, () =>
    turnsOf(desired, applied),
  );
  const sum = (took: number[]) => took.reduce((a, b) => a + b, 0);
  const entries = [...world.one_to_ones.values()].slice(0, CHANGES);
  const one = entries.map((entry) => {
    const object = { ...entry, vlan_id: entry.vlan_id + 1 };
    const seq = world.position + 1;
    return timed(() => {
      const touched = untouched();
      fold(
        world,
        { seq, resource: 'aip', id: entry.aip_uuid, object },
        touched,
      );
      const steps = plan(desired, applied, touched);
      if (steps.length !== 2) throw new Error(`${steps.length} steps, not 2`);
      for (const step of steps) advance(applied, step);
    });
  });
  const us = one.map((ms) => ms * 1000);
  return [
    row('boot.survey', 'ms', surveys.map(sum)),
    row('boot.survey.turn.max', 'ms', surveys.flat(), 1),
    row('boot.plan.change.p50', 'us', us),
    row('boot.plan.change.p99', 'us', us, 0.99),
  ];
}
