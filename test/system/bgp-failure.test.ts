// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What fails or restarts beside BGP, seen by upstream routers and by a stream of
 * packets (bgp-lab.ts): a link, vxlnatd, BIRD. How long things take is not
 * judged; how many packets were lost is said.
 */

import test from 'tape';
import { until } from '#test/until.js';
import { AIP, lostWhile, PATIENT, SNAT, startLab, ZONES } from './bgp-lab.js';

const skip = process.getuid?.() !== 0 && 'needs root';

test('a link that is lost is noticed by BFD', { skip }, async (t) => {
  // With graceful restart FRR waits for the hold time, BIRD for its end.
  const lab = await startLab(t, { ...PATIENT, graceful_restart_seconds: 0 });
  await lab.startZone('z2');
  await lab.waysAre(AIP, 'z1');
  await lostWhile(t, lab, 'external link lost', async () => {
    lab.ip('sw', 'link set ext-z1 down');
    await lab.order('place', AIP, ZONES.z2.uuid);
    await lab.waysAre(AIP, 'z2');
  });
  await lab.waysAre(SNAT, '');
  t.pass('what nobody took over is not routed to a dead link');
});

test('a restart is not seen outside', { skip }, async (t) => {
  const lab = await startLab(t);
  await lab.waysAre(AIP, 'z1');
  const before = lab.updatesOf('z1');
  for (const signal of ['SIGUSR2', 'SIGKILL'] as const) {
    await lostWhile(
      t,
      lab,
      `vxlnatd ${signal}, with a TUN device`,
      async () => {
        await lab.endZone('z1', signal);
        await lab.startZone('z1');
      },
    );
    await until('it is ready', async () => {
      const health = await lab.admin('z1', '/health');
      return health['ready'] === true;
    });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    t.equal(lab.updatesOf('z1'), before, `${signal}: no update came`);
  }
});

test('BIRD may be killed', { skip }, async (t) => {
  const lab = await startLab(t);
  await lab.waysAre(AIP, 'z1');
  const gaps = await lostWhile(t, lab, 'BIRD killed', async () => {
    lab.sh(`kill -9 $(cat ${lab.birdOf('z1')}/bird.pid)`);
    await until('BIRD is back', async () => {
      const { bgp } = (await lab.admin('z1', '/health')) as {
        bgp: { restarts: number; neighbors: { exported: number }[] };
      };
      const { restarts, neighbors } = bgp;
      return restarts === 1 && neighbors.every((n) => n.exported === 2);
    });
  });
  t.equal(gaps, 0, 'graceful restart keeps the routes');
  await lab.waysAre(AIP, 'z1');
});
