// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The tree of packages is whole, and docs/security.md says how many ship. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'tape';

test('npm ls finds nothing missing, extra or of a wrong version', (t) => {
  const { status, stderr } = spawnSync('npm', ['ls', '--all', '--silent'], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
  t.end();
});

test('docs/security.md counts the packages that ship', (t) => {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['scripts/licences.mjs'],
    { encoding: 'utf8' },
  );
  t.equal(status, 0, 'every licence is on the list');
  const [, count] = /^(\d+) packages, [\d.]+ MiB$/m.exec(stdout) ?? [];
  const page = readFileSync('docs/security.md', 'utf8');
  const [, said] = /(\d+) packages, [\d.]+ MiB/.exec(page) ?? [];
  t.ok(Number(count) > 0, `${count} packages`);
  t.equal(said, count);
  t.end();
});
