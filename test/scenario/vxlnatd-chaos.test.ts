// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A zone through a bad day: random changes, a control plane that restarts,
 * forgets its journal, and loses events. In the end the zone holds exactly
 * what a new one would. Run with SEED=... to repeat a failure.
 */

import test, { type Test } from 'tape';
import { systemClock } from '#lib/clock.js';
import { silentLogger } from '#lib/service/log.js';
import { ZONES } from '#test/addresses.js';
import { FakeEngine } from '#test/fake-engine.js';
import { MiniNapi } from '#test/mini-napi.js';
import { type Rng, seededRng, seedOfRun } from '#test/rng.js';
import { until } from '#test/until.js';
import { App } from '../../services/vxlnatd/app.js';
import { completeConfig } from '../../services/vxlnatd/config.js';

const clock = systemClock();
const ROUNDS = 150;

async function startZone(t: Test, napi: MiniNapi) {
  const engine = new FakeEngine();
  const config = completeConfig({
    zone_uuid: ZONES[1].uuid,
    napi: { url: `http://127.0.0.1:${napi.port}` },
    underlay: { interface: 'und0', ip: ZONES[1].ul3 },
    external: { interface: 'ext0' },
    manage_os: false,
    admin: { host: '127.0.0.1', port: 0 },
  });
  const app = new App(config, null, {
    openEngine: async () => engine,
    runIp: async () => ({ status: 1, stdout: '', stderr: '' }),
    clock,
    log: silentLogger(),
    random: Math.random,
    seed: '0'.repeat(32),
  });
  t.teardown(() => app.stop());
  await app.start();
  const inSync = () => {
    const status = app.reconciler.status();
    const { position, digest } = napi.dataplane();
    return status.position === position && status.digest === digest;
  };
  return { app, engine, inSync };
}

/** One thing that happens; AIPs only where a fabric covers them. */
async function happen(napi: MiniNapi, rng: Rng): Promise<void> {
  const vnet = rng.between(1, 3);
  const third = rng.between(4, 6);
  const id = `aip-${rng.below(4)}`;
  const publicIp = `3.3.4.${id.slice(4)}`;
  const zone = rng.pick([ZONES[1].uuid, ZONES[2].uuid, null]);
  const { fabrics } = napi.dataplane();
  switch (rng.below(9)) {
    case 0:
    case 1:
      napi.fabric(vnet, third, `3.3.3.${rng.between(4, 6)}`);
      break;
    case 2:
    case 3: {
      const fabric = fabrics[rng.below(Math.max(1, fabrics.length))];
      if (fabric === undefined) break;
      const host = fabric.subnet.replace('0/24', `1${id.slice(4)}`);
      napi.place(publicIp, zone);
      napi.aip(id, fabric.vnet_id, host, publicIp);
      break;
    }
    case 4:
      napi.detach(id);
      break;
    case 5:
      napi.place(`3.3.3.${rng.between(4, 6)}`, zone);
      break;
    case 6:
      napi.zone(ZONES[2], rng.pick([ZONES[1].uuid, null]));
      break;
    case 7:
      napi.removeFabric(vnet, third);
      break;
    default:
      if (!rng.chance(0.3)) break;
      await napi.stop();
      napi.fabric(vnet, third, '3.3.3.4');
      if (rng.chance(0.5)) await napi.journal.compact(napi.journal.position());
      await napi.start(napi.port, napi.svpPort);
  }
}

test('whatever happens, a zone ends as a new one begins', async (t) => {
  const seed = seedOfRun();
  const rng = seededRng(seed);
  const napi = new MiniNapi();
  napi.zone(ZONES[1]);
  napi.zone(ZONES[2]);
  await napi.start();
  t.teardown(() => napi.stop());
  const zone = await startZone(t, napi);
  for (let i = 0; i < ROUNDS; i++) {
    await happen(napi, rng);
    if (rng.chance(0.2)) await new Promise((done) => setTimeout(done, 3));
    if (rng.chance(0.05)) await zone.app.reload().catch(() => {});
  }
  await until(`in sync, SEED=${seed}`, zone.inSync);
  const fresh = await startZone(t, napi);
  await until('a new one', fresh.inSync);
  t.deepEqual(zone.engine.dump(), fresh.engine.dump(), `SEED=${seed}`);
  const sorted = (set: ReadonlySet<string>) => [...set].sort();
  t.deepEqual(
    sorted(zone.app.reconciler.applied.announced),
    sorted(fresh.app.reconciler.applied.announced),
    'announces the same',
  );
  t.deepEqual(zone.app.reconciler.status().failures, [], 'nothing failed');
});
