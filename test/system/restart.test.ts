// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A daemon that ends and comes back, while a TCP connection and a UDP socket
 * of an SNAT host and of a 1:1 host are in use: what goes on, by which path
 * and after which end. docs/performance.md has the times ("Restart gap").
 */

import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { lines } from './lab.js';
import { ended, RULES, SERVER, sh, Zone } from './zone.js';

const PEER = fileURLToPath(new URL('peer.js', import.meta.url));
const skip = process.getuid?.() !== 0 && 'needs root';

type Path = 'xdp' | 'af_xdp' | 'tun';

/** Two sockets in use, asked for a sign of life. */
class Talk {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = lines(child)[Symbol.asyncIterator]();
  }

  /** The addresses that the server saw, or why the connection ended. */
  async ask(): Promise<{ tcp: string; udp: string }> {
    this.#child.stdin?.write('\n');
    const { value } = await this.#lines.next();
    return JSON.parse(value ?? '{}');
  }
}

interface World {
  lab: Zone;
  /** The daemon's configuration. */
  config: string;
  /** Folder of its pins. */
  pins: string;
  start: () => Promise<ChildProcess>;
}

async function setUp(t: Test, io: Path): Promise<World> {
  const pins = `/run/vxr${process.pid}`;
  t.teardown(() => {
    sh(`umount ${pins} || true`);
    rmSync(pins, { recursive: true, force: true });
  });
  mkdirSync(pins, { recursive: true });
  sh(`mount -t bpf bpf ${pins}`);
  const lab = new Zone(t, 'vxr');
  lab.up();
  lab.likeNetworkCards();
  const folder = temporaryDirectory(t);
  const [rules, config] = [join(folder, 'rules'), join(folder, 'config')];
  writeFileSync(rules, `bind 192.168.12.6\n${RULES}`);
  writeFileSync(
    config,
    JSON.stringify({
      underlay: { interface: 'und0' },
      external: { interface: 'ext0' },
      io,
      xdp: { pins },
      engine: { max_flows: 4096 },
    }),
  );
  const server = lab.start(lab.wan, PEER, 'serve');
  await lines(server)[Symbol.asyncIterator]().next();
  const start = () => lab.daemon('-c', config, '-f', rules);
  return { lab, config, pins, start };
}

/** The talks of a host behind SNAT and of one with its own address. */
function talks({ lab }: World): [Talk, Talk] {
  return ['10.4.5.2', '10.4.5.1'].map(
    (ip) => new Talk(lab.start(lab.cn, PEER, 'keep', SERVER, ip)),
  ) as [Talk, Talk];
}

/** What is pinned; the kernel keeps files of its own there. */
function pinned({ pins }: World): string[] {
  return readdirSync(pins).filter((name) => !name.endsWith('.debug'));
}

async function end(child: ChildProcess, signal: NodeJS.Signals) {
  const over = ended(child);
  child.kill(signal);
  await over;
}

/** What survives each end of the daemon, by a path that keeps its flows. */
async function goesOn(t: Test, io: Path): Promise<void> {
  const world = await setUp(t, io);
  let daemon = await world.start();
  const [snat, fixed] = talks(world);
  const before = [await snat.ask(), await fixed.ask()];
  t.ok(before[0]?.tcp.startsWith('3.3.3.2:'), before[0]?.tcp);
  t.ok(before[1]?.tcp.startsWith('3.3.3.5:'), before[1]?.tcp);
  for (const signal of ['SIGUSR2', 'SIGKILL'] as const) {
    await end(daemon, signal);
    t.equal(world.lab.attached(), 2, `the program is there after ${signal}`);
    if (io === 'xdp') {
      const alone = [await snat.ask(), await fixed.ask()];
      t.deepEqual(alone, before, 'and carries flows without the daemon');
    }
    daemon = await world.start();
    const after = [await snat.ask(), await fixed.ask()];
    t.deepEqual(after, before, `flows go on after ${signal}`);
  }
  await end(daemon, 'SIGTERM');
  t.equal(world.lab.attached(), 0, 'SIGTERM leaves no program');
  t.deepEqual(pinned(world), [], 'and no pins');
  await world.start();
  t.match((await snat.ask()).tcp, /ECONNRESET/, 'and no flows of SNAT');
  t.deepEqual(await fixed.ask(), before[1], 'a 1:1 address goes on');
}

for (const io of ['xdp', 'af_xdp'] as const) {
  test(`${io}: flows outlive the daemon`, { skip }, (t) => goesOn(t, io));
}

test('tun: 1:1 addresses outlive the daemon, SNAT ends', {
  skip,
}, async (t) => {
  const world = await setUp(t, 'tun');
  const daemon = await world.start();
  const [snat, fixed] = talks(world);
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
  const world = await setUp(t, 'xdp');
  const { lab, config } = world;
  const daemon = await world.start();
  const [snat] = talks(world);
  const before = await snat.ask();
  t.equal(lab.attached(), 2, 'attached');
  t.match(lab.adm('-c', config, 'detach'), /^detached/);
  t.equal(lab.attached(), 0, 'detached');
  t.deepEqual(await snat.ask(), before, 'flows go on by TUN device');
  t.match(lab.adm('status'), /tun: the XDP program was detached by hand/);
  await end(daemon, 'SIGKILL');
  const next = await world.start();
  t.equal(lab.attached(), 2, 'a start attaches it again');
  await end(next, 'SIGKILL');
  t.equal(lab.attached(), 2, 'a killed one leaves it');
  t.match(lab.adm('-c', config, 'detach'), /does not run/);
  t.equal(lab.attached(), 0, 'detached');
  t.deepEqual(pinned(world), [], 'no pins are left');
});
