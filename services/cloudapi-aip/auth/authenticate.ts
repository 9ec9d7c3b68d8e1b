// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Who signed a request: the keyId's account or sub-user is looked up and the
 * signature verified with the key that it names. What the signer may do is
 * decided in authorize.ts.
 */

import sshpk from 'sshpk';
import { ServiceError } from '#lib/errors.js';
import type { AccountInfo, AccountSource, Keys } from '../accounts/source.js';
import { type KeyId, parseKeyId } from './key-id.js';
import { parseSignature, type SignedRequest } from './signature.js';

function refused(message: string): ServiceError {
  return new ServiceError(401, { code: 'InvalidCredentials', message });
}

/**
 * Verifies a request's signature.
 * @param now milliseconds since the epoch
 * @returns what the account source knows of the signer; `user` is there
 *   exactly when a sub-user signed
 * @throws ServiceError 400/401/403; an unknown account, an unknown key and a
 *   wrong signature are told apart to nobody
 */
export async function authenticate(
  source: AccountSource,
  now: number,
  request: SignedRequest,
): Promise<AccountInfo> {
  const signature = parseSignature(request, now);
  const keyId = parseKeyId(signature.keyId);
  if (keyId === null) {
    throw refused(`Invalid KeyId ${signature.keyId} in authorization header`);
  }
  const signer = await lookUp(source, keyId);
  const key = signer === null ? null : findKey(signer, keyId.key);
  if (signer === null || key === null || !signature.verify(key)) {
    throw refused('Invalid authorization credentials supplied');
  }
  if (signer.account.disabled === true || signer.user?.disabled === true) {
    throw new ServiceError(403, {
      code: 'NotAuthorized',
      message: 'Account or user is disabled',
    });
  }
  return signer;
}

/** The signer; an account never comes with a sub-user beside it. */
async function lookUp(
  source: AccountSource,
  { login, sublogin }: KeyId,
): Promise<AccountInfo | null> {
  if (sublogin !== null) return source.user(login, sublogin);
  const info = await source.account(login);
  if (info === null) return null;
  const { user: _user, ...account } = info;
  return account;
}

/** The public key that a keyId names: by fingerprint, by name, by SHA-256. */
function findKey(signer: AccountInfo, wanted: string): string | null {
  const { keys } = signer.user ?? signer.account;
  if (wanted.startsWith('SHA256:')) {
    return Object.values(keys).find((pem) => sha256(pem) === wanted) ?? null;
  }
  const fingerprint = own(signer.key_names ?? {}, wanted) ?? wanted;
  return own(keys, fingerprint) ?? null;
}

/** A key id is a stranger's text: what objects inherit is none of theirs. */
function own(keys: Keys, name: string): string | undefined {
  return Object.hasOwn(keys, name) ? keys[name] : undefined;
}

function sha256(key: string): string | null {
  try {
    return sshpk.parseKey(key, 'auto').fingerprint('sha256').toString();
  } catch {
    return null;
  }
}
