// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Mistakes in the account and configuration files: each is said with its file
 * and place, and the process ends with status 2 instead of refusing customers.
 */

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { UsageError } from '#lib/errors.js';
import { temporaryDirectory } from '#test/tmp.js';
import { openAccountFile } from '../../../services/cloudapi-aip/accounts/file.js';
import {
  ALICE,
  account,
  BOB,
  deputy,
  everyone,
  KEYS,
  makeKey,
} from './identities.js';

/** What is said of a file with this content; '' when it is taken. */
function complaint(t: Test, content: string): string {
  const file = join(temporaryDirectory(t), 'accounts.json');
  writeFileSync(file, content);
  try {
    openAccountFile(file);
    return '';
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.message.replaceAll(file, 'FILE');
  }
}

test('a good file is taken, with fields that only mahi knows', async (t) => {
  const file = join(temporaryDirectory(t), 'accounts.json');
  const [alice, ...others] = everyone();
  writeFileSync(
    file,
    JSON.stringify([
      { ...alice, extra: 1, roles: { x: { type: 'role', name: 'y' } } },
      ...others,
    ]),
  );
  const source = openAccountFile(file);
  t.equal((await source.account('alice'))?.account.uuid, ALICE);
  t.equal((await source.account(ALICE))?.account.login, 'alice');
  t.equal((await source.user('alice', 'deputy'))?.user?.login, 'deputy');
  t.equal(await source.user('bob', 'deputy'), null);
  t.equal(await source.account('nobody'), null);
});

test('each mistake is named with its place', (t) => {
  const { alice, bob } = KEYS;
  const good = account('alice', ALICE, alice);
  const other = makeKey();
  const cases: [unknown, RegExp][] = [
    [{}, /^FILE: \/: must be array/],
    [[{}], /^FILE: \/0\/account: is required/],
    [
      [{ account: { login: 'a', keys: {} } }],
      /^FILE: \/0\/account\/uuid: is required/,
    ],
    [
      [account('alice', ALICE.toUpperCase(), alice)],
      /^FILE: \/0\/account\/uuid: must be a UUID/,
    ],
    [
      [account('alice', ALICE, alice, { disabled: 'true' })],
      /^FILE: \/0\/account\/disabled: must be boolean/,
    ],
    [
      [account('alice', ALICE, alice, { keys: { [alice.md5]: 'x' } })],
      /^FILE: \/0\/account\/keys\/[0-9a-f:]+: is not a public key/,
    ],
    [
      [account('a', ALICE, alice, { keys: { [alice.md5]: other.publicPem } })],
      /is the key with the fingerprint ([0-9a-f]{2}:){15}/,
    ],
    [
      [
        account('alice', ALICE, alice, {
          keys: {
            [alice.md5]: alice.secret.export({ type: 'pkcs8', format: 'pem' }),
          },
        }),
      ],
      /is a private key; put its public key here/,
    ],
    [
      [{ ...good, key_names: { home: bob.md5 } }],
      /^FILE: \/0\/key_names\/home: is not a fingerprint/,
    ],
    [
      [good, account('alice', BOB, bob)],
      /^FILE: \/1\/account: is another one than \/0\/account/,
    ],
    [[good, good], /^FILE: \/1: is there already as \/0/],
    [
      [deputy({ account: BOB })],
      /^FILE: \/0\/user\/account: is not the UUID of \/0\/account/,
    ],
  ];
  for (const [content, said] of cases) {
    t.match(complaint(t, JSON.stringify(content)), said);
  }
  t.match(complaint(t, '[{'), /^FILE: is not JSON/);
  t.end();
});

interface Ended {
  status: number;
  stderr: string;
}

function start(config: string): Promise<Ended> {
  const main = new URL(
    '../../../services/cloudapi-aip/main.js',
    import.meta.url,
  );
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main.pathname, '-f', config],
      { timeout: 30_000 },
      (error, _stdout, stderr) =>
        resolve({ status: Number(error?.code ?? 0), stderr }),
    );
  });
}

test('the process ends with status 2 and one line', async (t) => {
  const directory = temporaryDirectory(t);
  const accounts = join(directory, 'accounts.json');
  const config = join(directory, 'config.json');
  const base = {
    listen: { host: '127.0.0.1', port: 0 },
    napi_nat: { url: 'http://127.0.0.1:1' },
    accounts: { file: accounts },
  };
  const cases: [object, unknown, string][] = [
    [base, [{}], `${accounts}: /0/account: is required`],
    [
      { ...base, accounts: { file: accounts, mahi_url: 'http://m' } },
      [],
      `${config}: /accounts: give one of "file" and "mahi_url"`,
    ],
    [
      { ...base, napi_nat: { url: 'http://' } },
      [],
      `${config}: /napi_nat/url: is not a URL`,
    ],
    [{ ...base, lisen: 1 }, [], `${config}: /lisen: is not a known key`],
  ];
  for (const [content, list, said] of cases) {
    writeFileSync(config, JSON.stringify(content));
    writeFileSync(accounts, JSON.stringify(list));
    const ended = await start(config);
    t.deepEqual([ended.status, ended.stderr], [2, `cloudapi-aip: ${said}\n`]);
  }
});
