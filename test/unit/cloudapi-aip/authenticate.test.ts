// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Who is let in: each form of keyId, and refusals that tell an attacker
 * nothing of which part was wrong.
 */

import test from 'tape';
import type { ServiceError } from '#lib/errors.js';
import { accountList } from '../../../services/cloudapi-aip/accounts/file.js';
import type { AccountInfo } from '../../../services/cloudapi-aip/accounts/source.js';
import { authenticate } from '../../../services/cloudapi-aip/auth/authenticate.js';
import {
  ALICE,
  account,
  deputy,
  everyone,
  KEYS,
  type Key,
  signed,
} from './identities.js';

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT');
const URL_PATH = '/my/aips';

function attempt(
  key: Key,
  keyId: string,
  list: AccountInfo[] = everyone(),
): Promise<AccountInfo> {
  const request = { method: 'GET', url: URL_PATH, now: NOW };
  return authenticate(accountList(list), NOW, {
    method: 'GET',
    url: URL_PATH,
    headers: signed(key, keyId, request),
  });
}

/** Status, code and message of the refusal. */
async function refusal(
  ...args: Parameters<typeof attempt>
): Promise<[number, string, string]> {
  try {
    await attempt(...args);
    return [200, '', ''];
  } catch (error) {
    const { status, body } = error as ServiceError;
    return [status, body.code, body.message];
  }
}

test('an account signs with a key by MD5, SHA256 or name', async (t) => {
  const { alice } = KEYS;
  for (const keyId of [
    `/alice/keys/${alice.md5}`,
    `/alice/keys/${alice.sha256}`,
    '/alice/keys/laptop',
    `/${ALICE}/keys/${alice.md5}`,
  ]) {
    const signer = await attempt(alice, keyId);
    t.equal(signer.account.uuid, ALICE, keyId);
    t.notOk('user' in signer, 'no sub-user beside it');
  }
});

test('a sub-user signs with its own keys', async (t) => {
  const { user, alice } = KEYS;
  for (const keyId of [
    `/alice/users/deputy/keys/${user.md5}`,
    `/alice/users/deputy/keys/${user.sha256}`,
    '/alice/users/deputy/keys/tablet',
    `/alice/user/deputy/keys/${user.md5}`,
  ]) {
    t.equal((await attempt(user, keyId)).user?.login, 'deputy', keyId);
  }
  for (const [key, keyId] of [
    [alice, `/alice/users/deputy/keys/${alice.md5}`],
    [user, `/alice/keys/${user.md5}`],
    [user, `/bob/users/deputy/keys/${user.md5}`],
  ] as const) {
    t.equal((await refusal(key, keyId))[0], 401, `not with ${keyId}`);
  }
});

test('an account known by its sub-user alone signs as itself', async (t) => {
  const { alice } = KEYS;
  const signer = await attempt(alice, `/alice/keys/${alice.md5}`, [deputy()]);
  t.equal(signer.account.uuid, ALICE);
  t.notOk('user' in signer);
});

test('unknown account, unknown key and wrong signature look alike', async (t) => {
  const { alice, bob } = KEYS;
  const broken = account('alice', ALICE, alice, {
    keys: { [alice.md5]: 'no key at all' },
  });
  const refusals = [
    await refusal(alice, `/nobody/keys/${alice.md5}`),
    await refusal(alice, `/alice/users/nobody/keys/${alice.md5}`),
    await refusal(alice, `/alice/keys/${bob.md5}`),
    await refusal(alice, '/alice/keys/nameless'),
    await refusal(alice, '/alice/keys/constructor'),
    await refusal(alice, '/alice/keys/SHA256:nope'),
    await refusal(bob, `/alice/keys/${alice.md5}`),
    await refusal(alice, `/alice/keys/${alice.md5}`, [broken]),
  ];
  for (const each of refusals) {
    t.deepEqual(each, [
      401,
      'InvalidCredentials',
      'Invalid authorization credentials supplied',
    ]);
  }
});

test('a malformed keyId is refused and named', async (t) => {
  const { alice } = KEYS;
  for (const keyId of [`/my/keys/${alice.md5}`, '/alice', 'alice/keys/k']) {
    t.deepEqual(await refusal(alice, keyId), [
      401,
      'InvalidCredentials',
      `Invalid KeyId ${keyId} in authorization header`,
    ]);
  }
});

test('the disabled are told so, but only with the right key', async (t) => {
  const { alice, bob, user } = KEYS;
  const off = account('alice', ALICE, alice, { disabled: true });
  const keyId = `/alice/keys/${alice.md5}`;
  t.deepEqual(await refusal(alice, keyId, [off]), [
    403,
    'NotAuthorized',
    'Account or user is disabled',
  ]);
  t.equal((await refusal(bob, keyId, [off]))[0], 401);
  const offUser = [deputy({ disabled: true })];
  const userKeyId = `/alice/users/deputy/keys/${user.md5}`;
  t.equal((await refusal(user, userKeyId, offUser))[0], 403);
});
