// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A daemon that ends and comes back, while a TCP connection and a UDP socket
 * of an SNAT host and of a 1:1 host are in use: what goes on, by which path
 * and after which end. docs/performance.md has the times ("Restart gap").
 */

import test, { type Test } from 'tape';
import { end, type Path, setUpWorld } from './lab/world.js';

const skip = process.getuid?.() !== 0 && 'needs root';

/** What survives each end of the daemon, by a path that keeps its flows. */
async function goesOn(t: Test, io: Path): Promise<void> {
  const world = await setUpWorld(t, io);
  let daemon = await world.start();
  const [snat, fixed] = world.talks();
  const before = [await snat.ask(), await fixed.ask()];
  t.ok(before[0]?.tcp.startsWith('3.3.3.2:'), before[0]?.tcp);
  t.ok(before[1]?.tcp.startsWith('3.3.3.5:'), before[1]?.tcp);
  for (const signal of ['SIGUSR2', 'SIGKILL'] as const) {
    await end(daemon, signal);
    t.equal(
      world.lab.attached('gw'),
      2,
      `the program is there after ${signal}`,
    );
    if (io === 'xdp') {
      const alone = [await snat.ask(), await fixed.ask()];
      t.deepEqual(alone, before, 'and carries flows without the daemon');
    }
    daemon = await world.start();
    const after = [await snat.ask(), await fixed.ask()];
    t.deepEqual(after, before, `flows go on after ${signal}`);
  }
  await end(daemon, 'SIGTERM');
  t.equal(world.lab.attached('gw'), 0, 'SIGTERM leaves no program');
  t.deepEqual(world.pinned(), [], 'and no pins');
  await world.start();
  t.match((await snat.ask()).tcp, /ECONNRESET/, 'and no flows of SNAT');
  t.deepEqual(await fixed.ask(), before[1], 'a 1:1 address goes on');
  t.equal(world.lab.leaked('wan'), 0, 'nothing left with a private address');
}

for (const io of ['xdp', 'af_xdp'] as const) {
  test(`${io}: flows outlive the daemon`, { skip }, (t) => goesOn(t, io));
}

test('tun: 1:1 addresses outlive the daemon, SNAT ends', {
  skip,
}, async (t) => {
  const world = await setUpWorld(t, 'tun');
  const daemon = await world.start();
  const [snat, fixed] = world.talks();
  await snat.ask();
  const before = await fixed.ask();
  await end(daemon, 'SIGUSR2');
  await world.start();
  t.match((await snat.ask()).tcp, /ECONNRESET/, 'an unknown flow is reset');
  t.deepEqual(await fixed.ask(), before, 'a 1:1 address goes on');
});

test('vxlnatadm detach: of a daemon that lives, and of a dead one', {
  skip,
}, async (t) => {
  const world = await setUpWorld(t, 'xdp');
  const { lab, config } = world;
  const daemon = await world.start();
  const [snat] = world.talks();
  const before = await snat.ask();
  t.equal(lab.attached('gw'), 2, 'attached');
  t.match(lab.adm('-c', config, 'detach'), /^detached/);
  t.equal(lab.attached('gw'), 0, 'detached');
  t.deepEqual(await snat.ask(), before, 'flows go on by TUN device');
  t.match(lab.adm('status'), /tun: the XDP program was detached by hand/);
  await end(daemon, 'SIGKILL');
  const next = await world.start();
  t.equal(lab.attached('gw'), 2, 'a start attaches it again');
  await end(next, 'SIGKILL');
  t.equal(lab.attached('gw'), 2, 'a killed one leaves it');
  t.match(lab.adm('-c', config, 'detach'), /does not run/);
  t.equal(lab.attached('gw'), 0, 'detached');
  t.deepEqual(world.pinned(), [], 'no pins are left');
});
