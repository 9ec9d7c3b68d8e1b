// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** sdcadm-vxlnat as a process: configuration, questions, one at a time. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { Datacenter } from '#test/triton/datacenter.js';
import { API_NAMES } from '../../../sdcadm-plugin/clients.js';
import { takeLock } from '../../../sdcadm-plugin/lock.js';

const MAIN = fileURLToPath(
  new URL('../../../sdcadm-plugin/main.js', import.meta.url),
);

interface Ended {
  code: number | null;
  said: string;
}

/** Runs it with a configuration, and types `typed`. */
function sdcadm(
  t: Test,
  config: object,
  typed: string,
  ...args: string[]
): Promise<Ended> {
  const file = join(temporaryDirectory(t), 'sdcadm-vxlnat.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, SDCADM_VXLNAT_CONFIG: file },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  child.stdin.end(typed);
  return new Promise((resolve) =>
    child.once('close', (code) => resolve({ code, said })),
  );
}

test('an operator is asked; no answer is a no', async (t) => {
  const dc = await new Datacenter().withFabrics().start(t);
  const urls = Object.fromEntries(API_NAMES.map((name) => [name, dc.url]));
  const line = ['post-setup', '-s', 'CN-A'];
  for (const typed of ['', 'n\n']) {
    const { code, said } = await sdcadm(t, { urls }, typed, ...line);
    t.equal(code, 0, said);
    t.match(said, /Would you like to continue\? \[y\/N\] /);
    t.match(said, /Aborting\.\n$/);
    t.deepEqual(dc.writes, []);
  }
  const yes = await sdcadm(t, { urls }, 'y\n', ...line);
  t.equal(yes.code, 0, yes.said);
  t.equal(dc.zones.length, 1);
});

test('a configuration without APIs is refused', async (t) => {
  const { code, said } = await sdcadm(t, {}, '', 'status');
  t.equal(code, 2);
  t.match(said, /: \/urls\/sapi: is required where datacenter_name and/);
});

test('one at a time: the second waits for the first', async (t) => {
  const told: string[] = [];
  const first = await takeLock(() => t.fail('the first waits for nobody'));
  let taken = false;
  const second = takeLock((line) => {
    told.push(line);
    t.notOk(taken, 'it has not the lock yet');
    first();
  }).then((unlock) => {
    taken = true;
    return unlock;
  });
  (await second)();
  t.deepEqual(told, ['Waiting for sdcadm lock']);
});
