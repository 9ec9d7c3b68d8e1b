// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Executables: exit statuses, one-line errors, signals. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program whose main has this body. */
function run(
  t: Test,
  body: string,
  args: string[],
  onOutput: (pid: number) => void = () => {},
): Promise<Ended> {
  const script = join(temporaryDirectory(t), 'program.mjs');
  const at = (name: string) =>
    JSON.stringify(new URL(`../../../lib/${name}`, import.meta.url).href);
  writeFileSync(
    script,
    `import { runMain } from ${at('service/run.js')};
    import { UsageError } from ${at('errors.js')};
    await runMain({
      name: 'prog', usage: 'usage: prog [-f FILE]\\n',
      options: { file: { type: 'string', short: 'f' } },
      daemon: ({ values }) => values.file === undefined,
      main: async ({ values }) => { ${body} },
    });`,
  );
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env['PATH'] },
  });
  t.teardown(() => child.kill('SIGKILL'));
  return new Promise((resolve) => {
    const ended: Ended = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => {
      ended.stdout += chunk;
      onOutput(child.pid as number);
    });
    child.stderr.on('data', (chunk) => {
      ended.stderr += chunk;
    });
    child.on('close', (code) => resolve({ ...ended, code }));
  });
}

test('help and version', async (t) => {
  t.deepEqual(await run(t, 'return 3;', ['--help']), {
    code: 0,
    stdout: 'usage: prog [-f FILE]\n',
    stderr: '',
  });
  const { stdout } = await run(t, 'return 3;', ['--version']);
  t.ok(/^prog \d+\.\d+\.\d+\n$/.test(stdout));
});

test('main says the status and gets the options', async (t) => {
  const ended = await run(t, 'console.log(values.file); return 3;', ['-fx']);
  t.deepEqual(ended, { code: 3, stdout: 'x\n', stderr: '' });
});

test('wrong usage and configuration end with 2, in one line', async (t) => {
  const usage = await run(t, 'return 0;', ['--nope']);
  t.equal(usage.code, 2);
  t.equal(usage.stderr, "prog: Unknown option '--nope' (see prog --help)\n");
  const config = await run(t, "throw new UsageError('f: /a: is wrong');", []);
  t.deepEqual([config.code, config.stderr], [2, 'prog: f: /a: is wrong\n']);
});

test('a failure ends with 1 and without a stack', async (t) => {
  for (const body of [
    "throw new Error('no');",
    "setTimeout(() => { throw new Error('no'); }); return async () => {};",
    "Promise.reject(new Error('no')); return async () => {};",
  ]) {
    const ended = await run(t, body, []);
    t.equal(ended.code, 1);
    t.ok(ended.stderr.startsWith('prog: no\n'), ended.stderr);
    t.notOk(/^\s+at /m.test(ended.stderr));
  }
});

test('SIGTERM stops what was started', async (t) => {
  const body = `const timer = setInterval(() => {}, 1000);
    console.log('up');
    return async () => { clearInterval(timer); console.log('stopped'); };`;
  let sent = false;
  const ended = await run(t, body, [], (pid) => {
    if (sent) return;
    sent = true;
    process.kill(pid, 'SIGTERM');
  });
  t.deepEqual(ended, { code: 0, stdout: 'up\nstopped\n', stderr: '' });
});

/** Says so, then works for longer than anybody waits. */
const SLOW = `console.log('working');
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  return async () => { console.log('stopped'); };`;

test('SIGTERM while a daemon starts waits for the start', async (t) => {
  const ended = await run(t, SLOW.replace('SECONDS', '0.3'), [], (pid) =>
    process.kill(pid, 'SIGTERM'),
  );
  t.deepEqual(ended, { code: 0, stdout: 'working\nstopped\n', stderr: '' });
});

test('SIGTERM ends a command that is no daemon at once', async (t) => {
  const args = ['-f', 'file'];
  const ended = await run(t, SLOW.replace('SECONDS', '100'), args, (pid) =>
    process.kill(pid, 'SIGTERM'),
  );
  t.deepEqual(ended, { code: null, stdout: 'working\n', stderr: '' });
});
