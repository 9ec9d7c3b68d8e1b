// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `create --local`: units that systemd accepts, and nobody's file overwritten. */

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { operate } from '#test/triton/operator.js';

const ALL = 'napi-nat,cloudapi-aip,vxlnatd,svp-agent';
const NOWHERE = 'http://127.0.0.1:9';

function local(root: string, services = ALL, ...more: string[]) {
  const argv = ['create', '--local', '--services', services, ...more];
  return operate(NOWHERE, [...argv, '-y', '--root', root]);
}

test('units and settings are written once', async (t) => {
  const root = temporaryDirectory(t);
  const run = await local(root);
  t.equal(run.status, 0, run.stderr);
  const units = readdirSync(join(root, 'etc/systemd/system')).sort();
  t.deepEqual(
    units,
    ALL.split(',')
      .map((name) => `${name}.service`)
      .sort(),
  );
  for (const unit of units) {
    const text = readFileSync(join(root, 'etc/systemd/system', unit), 'utf8');
    t.doesNotMatch(text, /@[A-Z]+@/, `${unit} is filled in`);
    const [, program] = /^ExecStart=\S+ (\S+)/m.exec(text) ?? [];
    t.ok(existsSync(program as string), `${program} exists`);
  }
  const again = await local(root);
  t.deepEqual(again.lines, ['', 'Nothing to do.']);
});

test('a unit is renewed, settings are the operator’s', async (t) => {
  const root = temporaryDirectory(t);
  await local(root, 'vxlnatd');
  const settings = join(root, 'etc/vxlnat/vxlnatd.json');
  const unit = join(root, 'etc/systemd/system/vxlnatd.service');
  writeFileSync(settings, '{}');
  writeFileSync(unit, 'old');
  const run = await local(root, 'vxlnatd');
  t.equal(readFileSync(settings, 'utf8'), '{}');
  t.match(readFileSync(unit, 'utf8'), /^\[Service\]/m);
  t.ok(run.lines.includes(`    write ${unit}`));
});

test('settings are for their service alone', async (t) => {
  const root = temporaryDirectory(t);
  await local(root);
  const folder = join(root, 'etc/vxlnat');
  for (const name of readdirSync(folder)) {
    const { mode } = statSync(join(folder, name));
    t.equal(mode & 0o777, 0o640, name);
  }
  for (const name of ['napi-nat', 'cloudapi-aip', 'vxlnatd']) {
    const path = join(root, 'etc/systemd/system', `${name}.service`);
    const unit = readFileSync(path, 'utf8');
    t.match(unit, /^User=vxlnat$/m, name);
    const [, given = ''] =
      /^ExecStartPre=-\+chgrp vxlnat (.+)$/m.exec(unit) ?? [];
    const read = [...unit.matchAll(/-[cf] (\/etc\/vxlnat\/\S+)/g)];
    t.ok(read.length > 0, `${name} reads settings`);
    for (const [, file = ''] of read) {
      t.ok(given.split(' ').includes(file), `${name} may read ${file}`);
    }
  }
});

test('a service that there is not', async (t) => {
  const root = temporaryDirectory(t);
  const run = await local(root, 'vxlnatd,bind');
  t.equal(run.status, 2);
  t.ok(run.stderr.includes('--services: there is no "bind"'), run.stderr);
  t.deepEqual(readdirSync(root), []);
});

test('systemd accepts the units and finds them hardened', async (t) => {
  const root = temporaryDirectory(t);
  await local(root);
  for (const name of ALL.split(',')) {
    const unit = join(root, 'etc/systemd/system', `${name}.service`);
    t.doesNotThrow(
      () =>
        execFileSync('systemd-analyze', ['verify', '--man=no', unit], {
          stdio: 'pipe',
        }),
      `systemd-analyze verify ${name}.service`,
    );
    const said = execFileSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', unit],
      { encoding: 'utf8' },
    );
    const [, level] = /exposure level for .*: ([\d.]+)/.exec(said) ?? [];
    // systemd's own words: below 4 is OK.
    t.ok(Number(level) < 4, `${name}: exposure ${level}`);
  }
});
