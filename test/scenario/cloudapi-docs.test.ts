// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The triton lines of docs/cloudapi.md, run as a customer would run them: one
 * shell, the real CLI, real services. What would break: a line that does not
 * work, or a call that no line shows.
 */

import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sshpk from 'sshpk';
import test, { type Test } from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import { operations } from '../../services/cloudapi-aip/api/operations.js';
import { KEYS } from '../unit/cloudapi-aip/identities.js';
import {
  type CloudWorld,
  INSTANCE,
  SECOND,
  startCloud,
} from './cloudapi-world.js';

const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** The shell block of the page. */
function lines(): string[] {
  const page = readFileSync('docs/cloudapi.md', 'utf8');
  const block = /```sh\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  return block.split('\n').filter((line) => line !== '');
}

/** A home with alice's key, and the two commands that the page uses. */
function makeHome(t: Test): string {
  const home = temporaryDirectory(t);
  for (const name of ['.ssh', 'bin']) mkdirSync(join(home, name));
  const pem = KEYS.alice.secret.export({ type: 'pkcs8', format: 'pem' });
  const key = sshpk.parsePrivateKey(String(pem), 'pem');
  const file = join(home, '.ssh', 'id_ecdsa');
  writeFileSync(file, key.toString('pem'), { mode: 0o600 });
  writeFileSync(`${file}.pub`, key.toPublic().toString('ssh'));
  const triton = require.resolve('triton/bin/triton');
  const script = (name: string, text: string) => {
    const path = join(home, 'bin', name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  };
  script('triton', `exec "${process.execPath}" "${triton}" "$@"`);
  const field = 'JSON.parse(require("fs").readFileSync(0))[process.argv[1]]';
  script('json', `exec "${process.execPath}" -p '${field}' "$1"`);
  return home;
}

/** Runs lines in one shell, each answer after a mark of its own. */
async function shell(
  t: Test,
  { port }: CloudWorld,
  all: string[],
): Promise<string[]> {
  const home = makeHome(t);
  const script = all.map((line) => `echo '=== mark'\n${line}`).join('\n');
  const { stdout } = await run(
    '/bin/bash',
    ['-euo', 'pipefail', '-c', script],
    {
      timeout: 240_000,
      env: {
        PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
        HOME: home,
        INSTANCE,
        OTHER: SECOND,
        TRITON_URL: `http://127.0.0.1:${port}`,
        TRITON_ACCOUNT: 'alice',
        TRITON_KEY_ID: KEYS.alice.md5,
      },
    },
  );
  return stdout.split('=== mark\n').slice(1);
}

test('every line of the page works', async (t) => {
  const world = await startCloud(t);
  // The zone keeps saying what it has applied, as zones do.
  const beating = setInterval(() => void world.beat().catch(() => {}), 200);
  t.teardown(() => clearInterval(beating));
  const all = lines();
  const answers = await shell(t, world, all);
  t.equal(answers.length, all.length);
  const answerTo = (part: string) =>
    answers[all.findIndex((line) => line.includes(part))] ?? '';
  const parsed = (part: string) => JSON.parse(answerTo(part));
  t.equal(parsed('--ping').ping, 'pong');
  t.equal(parsed('openapi.json').openapi, '3.1.0');
  t.equal(parsed('wait=attached').state, 'attached');
  t.equal(parsed('state=attached').length, 1);
  t.equal(parsed('instance=$INSTANCE').length, 1);
  t.deepEqual(parsed('marker=$ID'), [], 'nothing comes after it');
  t.equal(parsed('?ip=').length, 1);
  t.equal(parsed('remap').belongs_to_uuid, SECOND);
  t.equal(parsed('"description":"shop"').deletion_protection, true);
  t.deepEqual(parsed('/my/aips -d \'{"role-tag"')['role-tag'], ['readers']);
  t.equal(parsed('attached=false').length, 1);
  t.deepEqual(parsed('limits'), [{ by: 'aips', used: 1 }]);
  t.equal(parsed('/audit')[0].action, 'delete');
});

test('every call has a line', (t) => {
  const all = lines();
  const asked = all.map((line) => {
    const method = /-X (\w+)/.exec(line)?.[1] ?? 'GET';
    const path = /(\/(?:my|--ping)[^\s"?]*)/.exec(line)?.[1] ?? '';
    return `${method} ${path.replace('$ID', ':id').replace('/my', '/:login')}`;
  });
  const missing = Object.entries(operations)
    .filter(([, { method, path }]) => !asked.includes(`${method} ${path}`))
    .map(([name]) => name);
  t.deepEqual(missing, []);
  t.end();
});
