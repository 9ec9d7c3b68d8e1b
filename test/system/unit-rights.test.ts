// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * vxlnatd with the rights that its systemd unit leaves it: no root, the unit's
 * capabilities, memory of its own bound. It must still take the fast path,
 * keep its program where the unit says, and leave nothing behind.
 */

import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { Lab, sh } from './lab/lab.js';

const HOME = fileURLToPath(new URL('../../..', import.meta.url));
const UNIT = join(HOME, 'sdcadm-plugin/systemd/vxlnatd.service');

/** The unit's `AmbientCapabilities`, as setpriv writes them. */
function capabilities(): string {
  const unit = readFileSync(UNIT, 'utf8');
  const [, names = ''] = /^AmbientCapabilities=(.*)$/m.exec(unit) ?? [];
  return names
    .split(' ')
    .map((name) => name.replace(/^CAP_/, '+').toLowerCase())
    .join(',');
}

function makeLab(t: Test): Lab {
  const lab = new Lab('vxu');
  t.teardown(() => lab.down());
  lab.add('gw', 'peer');
  for (const [device, address] of [
    ['und', '192.168.12.6/24'],
    ['ext', '203.0.113.2/24'],
  ] as const) {
    lab.cable({ at: 'gw', device, address }, { at: 'peer', device });
    lab.takesXdp('peer', device);
  }
  return lab;
}

/** As the unit starts it; the mounts are this process's own. */
function start(lab: Lab, directory: string): ChildProcess {
  const rights = capabilities();
  const all = `-all,${rights}`;
  return lab.spawn('gw', [
    'sh',
    '-ec',
    `mount -t bpf bpf ${directory}/bpf; chown nobody ${directory}/bpf
     mknod ${directory}/tun c 10 200; chmod 666 ${directory}/tun
     mount --bind ${directory}/tun /dev/net/tun
     exec setpriv --reuid=nobody --regid=nogroup --clear-groups \
       --no-new-privs --inh-caps=${all} --ambient-caps=${all} \
       --bounding-set=${all} "$0" "$@"`,
    ...[process.execPath, join(HOME, 'dist/services/vxlnatd/main.js')],
    ...['-c', `${directory}/vxlnatd.json`, '-f', `${directory}/rules`],
  ]);
}

/** Log records up to the one that says it is ready, by message. */
async function records(child: ChildProcess) {
  const found = new Map<string, Record<string, unknown>>();
  if (child.stderr === null) throw new Error('no output');
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.startsWith('{')) throw new Error(line);
    const record = JSON.parse(line) as Record<string, unknown>;
    found.set(String(record['msg']), record);
    if (record['msg'] === 'listening') break;
  }
  return found;
}

test('the unit leaves vxlnatd what the fast path needs', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async (t) => {
  const directory = temporaryDirectory(t);
  const lab = makeLab(t);
  const config = {
    underlay: { interface: 'und', ip: '192.168.12.6' },
    external: { interface: 'ext', ip: '203.0.113.2' },
    io: 'xdp',
    xdp: { pins: `${directory}/bpf/zone` },
  };
  sh(`mkdir ${directory}/bpf; chmod 755 ${directory}`);
  writeFileSync(`${directory}/vxlnatd.json`, JSON.stringify(config));
  writeFileSync(`${directory}/rules`, '# none\n');
  const child = start(lab, directory);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const said = await records(child);
  t.equal(said.get('packets go by xdp')?.['path'], 'xdp');
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  t.doesNotMatch(status, /^Uid:\s+0\b/m, 'it is not root');
  child.kill('SIGTERM');
  t.equal(await ended, 0, 'an orderly end');
});
