// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Customers with real keys, and requests signed as stock clients sign them. */

import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import sshpk from 'sshpk';
import type {
  AccountInfo,
  User,
} from '../../../services/cloudapi-aip/accounts/source.js';

export interface Key {
  secret: KeyObject;
  publicPem: string;
  md5: string;
  sha256: string;
}

/** A new P-256 key: quick to make. */
export function makeKey(): Key {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = sshpk.parseKey(pair.publicKey, 'pem');
  return {
    secret: createPrivateKey(pair.privateKey),
    publicPem: pair.publicKey,
    md5: key.fingerprint('md5').toString('hex'),
    sha256: key.fingerprint('sha256').toString(),
  };
}

export const ALICE = '11111111-0000-4000-8000-00000000000a';
export const BOB = '11111111-0000-4000-8000-00000000000b';
export const OPERATOR = '11111111-0000-4000-8000-00000000000c';
export const KEYS = {
  alice: makeKey(),
  bob: makeKey(),
  operator: makeKey(),
  user: makeKey(),
};

const ADMINISTRATOR = '33333333-0000-4000-8000-000000000001';
const READER = '33333333-0000-4000-8000-000000000002';

/** An account as mahi tells it. */
export function account(
  login: string,
  uuid: string,
  key: Key,
  more: object = {},
): AccountInfo {
  return {
    roles: {},
    account: { uuid, login, keys: { [key.md5]: key.publicPem }, ...more },
    key_names: { laptop: key.md5 },
  };
}

/** Alice's sub-user `deputy`, who holds both of her roles. */
export function deputy(more: Partial<User> = {}): AccountInfo {
  const { user: key, alice } = KEYS;
  return {
    ...account('alice', ALICE, alice),
    key_names: { tablet: key.md5 },
    roles: {
      [ADMINISTRATOR]: {
        uuid: ADMINISTRATOR,
        name: 'administrator',
        account: ALICE,
      },
      [READER]: { uuid: READER, name: 'reader', account: ALICE },
    },
    user: {
      uuid: '22222222-0000-4000-8000-000000000001',
      login: 'deputy',
      account: ALICE,
      keys: { [key.md5]: key.publicPem },
      roles: [ADMINISTRATOR, READER],
      defaultRoles: [ADMINISTRATOR],
      ...more,
    },
  };
}

/** Alice with a deputy, bob, and an operator. */
export function everyone(): AccountInfo[] {
  return [
    account('alice', ALICE, KEYS.alice),
    deputy(),
    account('bob', BOB, KEYS.bob),
    account('root', OPERATOR, KEYS.operator, { isOperator: true }),
  ];
}

/**
 * Headers of a request signed over `(request-target) date`.
 * @param now milliseconds since the epoch
 */
export function signed(
  key: Key,
  keyId: string,
  request: { method: string; url: string; now: number },
): Record<string, string> {
  const date = new Date(request.now).toUTCString();
  const text =
    `(request-target): ${request.method.toLowerCase()} ${request.url}\n` +
    `date: ${date}`;
  const signature = sign('sha256', Buffer.from(text), key.secret);
  return {
    date,
    authorization:
      `Signature keyId="${keyId}",algorithm="ecdsa-sha256",` +
      'headers="(request-target) date",' +
      `signature="${signature.toString('base64')}"`,
  };
}
