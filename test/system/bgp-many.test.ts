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

async function exported(lab: BgpLab): Promise<number[]> {
  const { bgp } = (await lab.admin('z1', '/health')) as {
    bgp: { neighbors: { exported: number }[] };
  };
  return bgp.neighbors.map((neighbor) => neighbor.exported);
}

test('one more of ten thousand is one UPDATE', { skip }, async (t) => {
  const lab = await startLab(t);
  for (let i = 0; i < MANY; i++) {
    const ip = `3.4.${i >> 8}.${i & 255}`;
    await lab.order('place', ip, ZONES.z1.uuid);
    if ((i + 1) % STEP !== 0) continue;
    // The SNAT address and the AIP of the lab are there too.
    await until(
      `${i + 1} are announced`,
      () => exported(lab),
      (counts) => counts.every((count) => count === i + 3),
    );
  }
  // FRR takes a while to read what BIRD has sent.
  let before = -1;
  await until('FRR has read it all', async () => {
    const last = before;
    before = lab.updatesOf('z1');
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return before === last;
  });
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
