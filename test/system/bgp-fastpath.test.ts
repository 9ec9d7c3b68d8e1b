// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Routes that BGP brings, on the paths that pass the kernel's stack by: two
 * equal default routes that BIRD put into the kernel are both used by what
 * the XDP program and the lanes send, and the one that is left when a router
 * dies (bgp-lab.ts).
 */

import test, { type Test } from 'tape';
import { until } from '#test/until.js';
import { AIP, BgpLab, type RouterName } from './bgp-lab.js';

const skip = process.getuid?.() !== 0 && 'needs root';
/** Addresses of the Internet's host; paths are chosen by destination. */
const HOSTS = Array.from({ length: 16 }, (_, i) => `203.0.113.${80 + i}`);

/** Packets that came from the zones by each router. */
function cameBy(lab: BgpLab): Record<RouterName, number> {
  const { text } = lab.run('inet', 'ip', '-s', '-j', 'link', 'show');
  const links = JSON.parse(text) as {
    ifname: string;
    stats64: { rx: { packets: number } };
  }[];
  const of = (name: string) =>
    links.find((link) => link.ifname === name)?.stats64.rx.packets ?? 0;
  return { r1: of('i1'), r2: of('i2') };
}

/** Waits until every host answers an instance, several times in a row. */
async function allAnswer(lab: BgpLab, source: string): Promise<void> {
  for (const host of HOSTS) {
    // A busy machine drops packets; no route at all is no answer at all.
    await until(`${host} to answer ${source}`, () => {
      const words = ['-c', '5', '-i', '0.05', '-W', '2', '-I', source, host];
      return / [45] received/.test(lab.run('cn', 'ping', ...words).text);
    });
  }
}

async function ways(lab: BgpLab, count: number): Promise<void> {
  await until(`${count} default routes`, () => {
    const { text } = lab.run('z1', 'ip', 'route', 'show', 'default');
    return text.split('via 198.51.100.').length - 1 === count;
  });
}

async function run(t: Test, io: 'xdp' | 'af_xdp'): Promise<void> {
  const lab = new BgpLab(t);
  lab.build('numtxqueues 2 numrxqueues 2');
  await lab.startControl();
  await lab.startFrr();
  lab.startBird();
  await lab.startZone('z1', { io, xdp: { pins: `${lab.mountPins()}/zone` } });
  await lab.waysAre(AIP, 'z1');
  await ways(lab, 2);
  for (const source of ['10.0.4.10', '10.0.4.11']) {
    const before = cameBy(lab);
    await allAnswer(lab, source);
    const after = cameBy(lab);
    for (const router of ['r1', 'r2'] as const) {
      const packets = after[router] - before[router];
      t.ok(packets >= 5, `${source}: some of it by ${router} (${packets})`);
    }
  }
  await lab.kill('bird');
  await ways(lab, 1);
  const before = cameBy(lab);
  lab.sh(`ip -n ${lab.ns('inet')} route replace 3.3.3.0/24 via 203.0.113.2`);
  await allAnswer(lab, '10.0.4.11');
  t.ok(cameBy(lab).r2 - before.r2 < 5, 'nothing by the one that is gone');
  const { io: carried } = (await lab.admin('z1', '/stats')) as {
    io: { path: string; fast_out: number; fast_in: number };
  };
  t.equal(carried.path, io);
  t.equal(carried.fast_out > 100, io === 'xdp', 'by the program, or not');
}

test("xdp follows BGP's routes, equal ones too", { skip }, (t) =>
  run(t, 'xdp'),
);

test("af_xdp follows BGP's routes, equal ones too", { skip }, (t) =>
  run(t, 'af_xdp'),
);
