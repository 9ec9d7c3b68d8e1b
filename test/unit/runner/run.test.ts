// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The runner must not call a failing suite a passing one. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Runs the runner over these files; returns its status and last line. */
function runner(
  t: Test,
  files: Record<string, string>,
  args: string[] = [],
): { status: number | null; last: string; output: string } {
  const root = temporaryDirectory(t);
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  // The real file, so that it looks for tests beside the link.
  for (const name of ['run.js', 'tally.js']) {
    symlinkSync(join(DIST, name), join(root, name));
  }
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--preserve-symlinks',
      '--preserve-symlinks-main',
      join(root, 'run.js'),
      ...args,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  const output = stdout + stderr;
  return { status, output, last: output.trimEnd().split('\n').at(-1) ?? '' };
}

const print = (text: string) => `console.log(${JSON.stringify(text)});`;

test('all passing', (t) => {
  const { status, last } = runner(t, {
    'unit/a/a.test.js': print('ok 1 x\nok 2 y\n1..2'),
    'scenario/b.test.js': print('ok 1 x\nnot ok 2 z # TODO later\n1..2'),
    'unit/a/notatest.js': 'process.exit(1)',
  });
  t.deepEqual([status, last], [0, '4 passed, 0 failed']);
  t.end();
});

test('a failing assertion is counted and shown at the end', (t) => {
  const { status, last, output } = runner(t, {
    'unit/a.test.js': `${print('ok 1 x\nnot ok 2 y\n  ---\n  why\n  ...\n1..2')}
      process.exitCode = 1;`,
  });
  t.deepEqual([status, last], [1, '1 passed, 1 failed']);
  t.ok(output.includes('not ok 2 y\n  ---\n  why\n'));
  t.end();
});

test('crashes, silence and missing assertions fail', (t) => {
  const { status, last, output } = runner(t, {
    'unit/crash.test.js': `${print('ok 1 x')} process.exit(7);`,
    'unit/signal.test.js': "process.kill(process.pid, 'SIGKILL');",
    'unit/silent.test.js': '',
    'unit/short.test.js': print('ok 1 x\n1..3'),
    'unit/syntax.test.js': 'this is not JavaScript',
  });
  t.deepEqual([status, last], [1, '2 passed, 5 failed']);
  t.ok(output.includes('crash.test.js (1 passed, 1 failed'));
  t.ok(/exit status 7/.test(output));
  t.ok(/ended by SIGKILL/.test(output));
  t.ok(/no test ran/.test(output));
  t.ok(/planned 3 assertions, made 1/.test(output));
  t.end();
});

test('no test at all is a failure', (t) => {
  const { status, last } = runner(t, {});
  t.deepEqual([status, last], [1, '0 passed, 1 failed']);
  t.end();
});

test('a native command counts by its lines, else by its status', (t) => {
  const files = { 'unit/a.test.js': print('ok 1 x\n1..1') };
  const native = (command: string) => {
    const { status, last } = runner(t, files, ['--native', command]);
    return [status, last];
  };
  t.deepEqual(native('true'), [0, '2 passed, 0 failed']);
  t.deepEqual(native('false'), [1, '1 passed, 1 failed']);
  t.deepEqual(native('echo ok 1; echo ok 2'), [0, '3 passed, 0 failed']);
  t.deepEqual(native('echo not ok 1'), [1, '1 passed, 1 failed']);
  t.end();
});
