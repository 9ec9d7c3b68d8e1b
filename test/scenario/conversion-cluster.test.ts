// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Two napi-nat on one PostgreSQL, and whoever runs a conversion is killed in
 * each of its steps: nobody goes on, both do, or a step is done twice.
 */

import test from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import { type NatPair, startNatPair } from '#test/nat-process.js';
import { openStore } from '../../services/napi-nat/store/open.js';
import { begin, killInEachStep, legacy, type Row } from './conversion-world.js';

test('kill -9 of who leads in each step: the other one goes on', async (t) => {
  const at = await legacy(t, '52', {}, startNatPair);
  const pair = at.world as NatPair;
  const deps = { clock: systemClock(), log: silentLogger() };
  const store = await openStore({ postgres: pair.postgres }, deps);
  t.teardown(() => store.close());
  const from = store.journal.position();
  const kill = () => pair.killLeader();
  const done = await killInEachStep(t, { at, uuid: await begin(at), kill });
  const steps = done.log.map(({ step }) => step);
  t.deepEqual(
    steps.filter((step, i) => step !== steps[i - 1]),
    ['allocate', 'sync', 'switch', 'settle', 'retire'],
    'each step once, in order',
  );
  const router = `${at.fabric.vnet_id},10.4.4.1`;
  const entries = await store.journal.read(from, 10_000);
  const told = entries.filter(({ id }) => id === router);
  t.deepEqual(
    told.map(({ object }) => (object as unknown as Row).cn_uuid),
    [at.zone.uuid],
    'compute nodes are told once',
  );
});
