// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatadm beside a real daemon with real packets: each command that looks
 * into the engine, and what the NAT log tells afterwards.
 */

import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { until } from '#test/until.js';
import { FIXED, SERVER, SNAT } from './lab/edge.js';
import { lines, sh } from './lab/lab.js';
import { setUpWorld, type Talk, type World } from './lab/world.js';

const skip = process.getuid?.() !== 0 && 'needs root';

interface Flow {
  proto: number;
  private_ip: string;
  private_port: number;
  public_port: number;
}

interface Page {
  flows: Flow[];
  cursor: number | null;
}

/** An answer of vxlnatadm as JSON. */
function json<T>({ lab }: World, ...words: string[]): T {
  return JSON.parse(lab.adm('-j', ...words)) as T;
}

async function flows(t: Test, world: World): Promise<void> {
  const all = json<Page>(world, 'flows').flows;
  t.equal(all.length, 2, 'one host behind SNAT talks by TCP and UDP');
  const filters = ['--private-ip', SNAT.private, '--proto', 'tcp'];
  const [tcp, ...more] = json<Page>(world, 'flows', ...filters).flows;
  t.equal(tcp?.proto, 6);
  t.deepEqual(more, [], 'by protocol');
  const none = json<Page>(world, 'flows', '--private-ip', FIXED.private);
  t.deepEqual(none.flows, [], 'a 1:1 host has none');
  const paged: Flow[] = [];
  for (let cursor: number | null = 0; cursor !== null; ) {
    const words = ['--limit', '1', '--cursor', String(cursor)];
    const page: Page = json<Page>(world, 'flows', ...words);
    t.ok(page.flows.length <= 1, 'a page is no longer than asked for');
    paged.push(...page.flows);
    cursor = page.cursor;
  }
  const ports = (some: Flow[]) => some.map((f) => f.public_port).sort();
  t.deepEqual(ports(paged), ports(all), 'the pages are all of them');
  const watch = world.lab.startAdm('-j', 'flows', '--watch', '-i', '0.1');
  const pictures = lines(watch)[Symbol.asyncIterator]();
  for (let i = 0; i < 2; i++) {
    const { value } = await pictures.next();
    t.equal(JSON.parse(value).flows.length, 2, 'watched again and again');
  }
  const over = once(watch, 'exit');
  watch.kill('SIGINT');
  await over;
}

/** Packets at all four points, one of them a stranger's. */
async function capture(t: Test, world: World, talk: Talk): Promise<void> {
  const { lab, folder } = world;
  const file = join(folder, 'all.pcapng');
  const points = ['--point', 'outer,inner,translated,drop'];
  const limits = ['--count', '30', '--seconds', '60'];
  const child = lab.startAdm('pcap', '-w', file, ...points, ...limits);
  let ended = false;
  const over = once(child, 'close').finally(() => {
    ended = true;
  });
  while (!ended) {
    await talk.ask();
    lab.run('wan', 'ping', '-c', '1', '-W', '0.1', SNAT.public);
  }
  await over;
  const told = sh(`tshark -r ${file} -T fields -e frame.interface_name \
    -e frame.comment -e ip.src -E separator='|' 2>/dev/null`).split('\n');
  for (const point of ['outer', 'inner', 'translated', 'drop']) {
    t.ok(
      told.some((line) => line.startsWith(`${point}|`)),
      `packets at ${point}`,
    );
  }
  t.ok(
    told.some((line) => /^drop\|.*NoFlow: .*\|/.test(line)),
    'a dropped packet has its reason',
  );
  const tunnels = sh(`tshark -r ${file} -Y vxlan.vni==1 2>/dev/null`);
  t.ok(tunnels.length > 0, 'outer packets are VXLAN of the vnet');
}

function questions(t: Test, world: World): void {
  const to = [`${SNAT.private}:9`, `${SERVER}:7`];
  const out = ['explain', '--vnet', '1', 'udp', ...to];
  t.equal(json<{ verdict: string }>(world, ...out).verdict, 'sent');
  const foreign = ['explain', 'udp', `${SERVER}:53`, `${SNAT.public}:5353`];
  t.equal(json<{ drop: string }>(world, ...foreign).drop, 'NoFlow');
  t.equal(json<Page>(world, 'flows').flows.length, 2, 'they make no flow');
  const text = world.lab.adm('top', '--once', '-i', '0.5');
  t.ok(text.includes(SNAT.public), 'top');
  t.match(world.lab.adm('drops', '-z'), /NoFlow/, 'drops');
  t.match(world.lab.adm('nat', 'forward', '1', SNAT.private), /3\.3\.3\.2/);
}

async function kill(t: Test, world: World, log: string): Promise<void> {
  const [flow] = json<Page>(world, 'flows', '--proto', 'tcp').flows;
  const words = ['flows', 'kill', '--public-ip', SNAT.public];
  t.match(world.lab.adm(...words), /that match: 2;/, 'counted first');
  t.equal(json<Page>(world, 'flows').flows.length, 2, 'and not ended');
  t.match(world.lab.adm(...words, '--yes'), /ended: 2/);
  t.deepEqual(json<Page>(world, 'flows').flows, [], 'ended');
  await until('the log', () => {
    const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
    return text.split('session_delete').length === 3;
  });
  const port = `${SNAT.public}:${flow?.public_port}`;
  const [event] = readFileSync(log, 'utf8').split('\n');
  const at = JSON.parse(event ?? '{}').time as string;
  const who = world.lab.adm('who', port, '--at', at, '--log', log);
  t.ok(who.includes(`${SNAT.private}:${flow?.private_port}`), who.trim());
}

test('an engine at work is looked into', { skip }, async (t) => {
  const log = join(temporaryDirectory(t), 'nat.log');
  const world = await setUpWorld(t, 'tun', { nat_log: { file: log } });
  await world.start();
  const [snat, fixed] = world.talks();
  t.match((await snat.ask()).tcp, /^3\.3\.3\.2:/);
  t.match((await fixed.ask()).tcp, /^3\.3\.3\.5:/);
  await flows(t, world);
  await capture(t, world, snat);
  questions(t, world);
  await kill(t, world, log);
});
