// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The XDP program's build where something is missing: it goes on with an
 * empty program, says why, and the engine uses its sockets.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';

/** Runs the build as binding.gyp does, with what is given to find. */
function build(t: Test, clang: string, ...source: string[]) {
  const object = join(temporaryDirectory(t), 'program.o');
  const { status, stderr } = spawnSync('sh', ['bpf/build', object, ...source], {
    cwd: 'native/vxlnat',
    encoding: 'utf8',
    env: { ...process.env, VXLNAT_CLANG: clang },
  });
  return { status, stderr, object };
}

test('without clang the build goes on, without the XDP program', (t) => {
  const { status, stderr, object } = build(t, 'no-such-compiler');
  t.equal(status, 0, 'it succeeds');
  t.match(stderr, /no clang; the engine will use sockets only/);
  t.equal(readFileSync(object).length, 0, 'an empty program');
  t.end();
});

test('without BPF in clang it goes on as well', (t) => {
  const folder = temporaryDirectory(t);
  const clang = join(folder, 'clang');
  writeFileSync(clang, '#!/bin/sh\necho x86-64\n', { mode: 0o755 });
  const { status, stderr, object } = build(t, clang);
  t.equal(status, 0, 'it succeeds');
  t.match(stderr, /clang without BPF; the engine will use sockets only/);
  t.equal(readFileSync(object).length, 0, 'an empty program');
  t.end();
});

test('a program that does not compile fails the build', (t) => {
  const folder = temporaryDirectory(t);
  const clang = join(folder, 'clang');
  const script =
    '#!/bin/sh\n[ "$1" = --print-targets ] && echo bpf || exit 1\n';
  writeFileSync(clang, script, { mode: 0o755 });
  const { status, stderr } = build(t, clang);
  const without = /no libbpf headers/.test(stderr);
  t.equal(status === 0, without, stderr.trim());
  t.end();
});
