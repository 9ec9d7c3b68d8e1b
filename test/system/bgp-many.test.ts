// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Ten thousand public IPs of one zone: each change is a new configuration of
 * all of them for BIRD, but one UPDATE for upstream (bgp-lab.ts). How long it
 * takes is said and not judged.
 */

import test from 'tape';
import { until } from '#test/until.js';
import { type BgpLab, startLab, ZONES } from './bgp-lab.js';

const skip = process.getuid?.() !== 0 && 'needs root';
const MANY = 10_000;
const STEP = 2500;
/** One that the routers' filter lets through. */
const ONE_MORE = '3.3.3.9';

function exported(lab: BgpLab): number[] {
  const { neighbors } = JSON.parse(lab.adm('z1', 'bgp', '-j').text) as {
    neighbors: { exported: number }[];
  };
  return neighbors.map((neighbor) => neighbor.exported);
}

test('one more of ten thousand is one UPDATE', { skip }, async (t) => {
  const lab = await startLab(t);
  for (let i = 0; i < MANY; i++) {
    const ip = `3.4.${i >> 8}.${i & 255}`;
    await lab.order('place', ip, ZONES.z1.uuid);
    if ((i + 1) % STEP !== 0) continue;
    // Its own address and the AIP are there too.
    await until(`${i + 1} are announced`, () =>
      exported(lab).every((count) => count === i + 3),
    );
  }
  const before = lab.updatesOf('z1');
  const start = performance.now();
  await lab.order('place', ONE_MORE, ZONES.z1.uuid);
  await lab.waysAre(ONE_MORE, 'z1');
  const took = Math.round(performance.now() - start);
  t.comment(`one more: a route of both routers after ${took} ms`);
  t.equal(lab.updatesOf('z1'), before + 1, 'one UPDATE announces it');
  await lab.order('place', ONE_MORE, null);
  await lab.waysAre(ONE_MORE, '');
  t.equal(lab.updatesOf('z1'), before + 2, 'one withdraws it');
});
