// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Looking into a daemon whose packets the XDP program carries: the engine must
 * see those that a tap asks for, and no longer than it asks; and what the
 * alarms and the dashboard name must be on the page of a real daemon.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'tape';
import { sh } from './lab/lab.js';
import { setUpWorld, type Talk, type World } from './lab/world.js';

const skip = process.getuid?.() !== 0 && 'needs root';

/** Packets that the kernel has translated. */
function fast(world: World): number {
  const { io } = JSON.parse(world.lab.page('/stats'));
  return io.fast_out + io.fast_in;
}

/** Talks until the kernel carries all of it; a flow begins in the engine. */
async function warm(world: World, talk: Talk): Promise<boolean> {
  for (let i = 0; i < 50; i++) {
    const before = fast(world);
    await talk.ask();
    // A message and its answer, by TCP with its acknowledgement and by UDP.
    if (fast(world) - before >= 4) return true;
  }
  return false;
}

/** What a command of vxlnatadm prints while hosts talk. */
async function watched(
  { lab }: World,
  talk: Talk,
  ...words: string[]
): Promise<string> {
  const child = lab.startAdm(...words);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const over = once(child, 'close');
  const ending = over.then(() => true);
  while (!(await Promise.race([ending, sleep(100, false)]))) await talk.ask();
  return text;
}

test('what XDP carries is seen by a tap', { skip }, async (t) => {
  const world = await setUpWorld(t, 'xdp');
  await world.start();
  const [snat, fixed] = world.talks();
  for (const [talk, ip, address] of [
    [snat, '10.4.5.2', '3.3.3.2'],
    [fixed, '10.4.5.1', '3.3.3.5'],
  ] as const) {
    t.ok(await warm(world, talk), `${ip} is carried by the kernel`);
    const words = ['--private-ip', ip, '--count', '6', '--seconds', '20'];
    const stories = (await watched(world, talk, '-j', 'trace', ...words))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.equal(stories.length, 6, 'as many stories as were asked for');
    for (const way of ['out', 'in']) {
      t.ok(
        stories.some((story) => story.direction === way),
        `packets ${way}`,
      );
    }
    const file = join(world.folder, `${ip}.pcapng`);
    const points = ['--point', 'inner,translated', '-w', file];
    await watched(world, talk, 'pcap', ...words, ...points);
    const seen = sh(`tshark -r ${file} -T fields -e ip.addr 2>/dev/null`);
    t.ok(seen.includes(address), 'the capture has the translated packet');
    t.ok(seen.includes(ip), 'and the frame of the fabric');
    t.ok(await warm(world, talk), 'afterwards the kernel carries it again');
  }
});

test('alarms and dashboard name metrics of a real daemon', {
  skip,
}, async (t) => {
  const world = await setUpWorld(t, 'xdp', {
    nat_log: { ipfix: '127.0.0.1:4739' },
  });
  await world.start();
  const [snat] = world.talks();
  await snat.ask();
  const text = world.lab.page('/metrics');
  const families = new Set(
    [...text.matchAll(/^# TYPE (vxlnatd_\S+)/gm)].map((line) => line[1]),
  );
  const samples = new Set(
    [...text.matchAll(/^(vxlnatd_\w+)[{ ]/gm)].map((line) => line[1]),
  );
  for (const file of ['alarms.yml', 'grafana.json']) {
    const source = readFileSync(`docs/monitoring/${file}`, 'utf8');
    for (const name of new Set(source.match(/vxlnatd_[a-z_0-9]+/g))) {
      // This zone has no BGP; monitoring.test.ts has those.
      if (name.startsWith('vxlnatd_bgp_')) continue;
      t.ok(families.has(name), `${file}: ${name}`);
      if (file === 'alarms.yml') t.ok(samples.has(name), `${name} has a value`);
    }
  }
});
