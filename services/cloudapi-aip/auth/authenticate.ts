// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * From a signed request to the account it acts on: verify the signature, then
 * decide whether the signer may use the `:login` of the path (facts: cloudapi
 * 1.5). A sub-user may only act on its own account, and needs the role
 * `administrator` there; finer rules come with role-based access.
 */

import sshpk from 'sshpk';
import type { Clock } from '#lib/clock.js';
import { notFound, ServiceError } from '#lib/errors.js';
import type { Request } from '#lib/http/types.js';
import type {
  Account,
  AccountInfo,
  AccountSource,
  Keys,
} from '../accounts/source.js';
import { type KeyId, parseKeyId } from './key-id.js';
import { parseSignature } from './signature.js';

/** Who signed, and on whose account the request acts. */
export interface Caller {
  signer: AccountInfo;
  account: Account;
}

const REFUSED = 'Invalid authorization credentials supplied';

function refused(message = REFUSED): ServiceError {
  return new ServiceError(401, { code: 'InvalidCredentials', message });
}

function forbidden(message: string): ServiceError {
  return new ServiceError(403, { code: 'NotAuthorized', message });
}

/**
 * Verifies the request's signature.
 * @returns what the account source knows of the signer
 * @throws ServiceError 400/401/403; an unknown account, an unknown key and a
 *   wrong signature are told apart to nobody
 */
export async function authenticate(
  source: AccountSource,
  clock: Clock,
  request: Request,
): Promise<AccountInfo> {
  const signature = parseSignature(request, clock.now());
  const keyId = parseKeyId(signature.keyId);
  if (keyId === null) {
    throw refused(`Invalid KeyId ${signature.keyId} in authorization header`);
  }
  const info =
    keyId.sublogin === null
      ? await source.account(keyId.login)
      : await source.user(keyId.login, keyId.sublogin);
  const key = info === null ? null : findKey(info, keyId);
  if (info === null || key === null || !signature.verify(key)) {
    throw refused();
  }
  if (info.account.disabled === true || info.user?.disabled === true) {
    throw forbidden('Account or user is disabled');
  }
  return keyId.sublogin === null ? { ...info, user: undefined as never } : info;
}

/** The PEM that a keyId names: by fingerprint, by name, or by SHA-256. */
function findKey(info: AccountInfo, keyId: KeyId): string | null {
  const keys: Keys =
    keyId.sublogin === null ? info.account.keys : (info.user?.keys ?? {});
  if (keyId.key.startsWith('SHA256:')) {
    return Object.values(keys).find((pem) => sha256(pem) === keyId.key) ?? null;
  }
  const named =
    keyId.sublogin === null ? info.key_names?.[keyId.key] : undefined;
  const fingerprint = named ?? keyId.key;
  return Object.hasOwn(keys, fingerprint)
    ? (keys[fingerprint] as string)
    : null;
}

function sha256(pem: string): string | null {
  try {
    return sshpk.parseKey(pem, 'pem').fingerprint('sha256').toString();
  } catch {
    return null;
  }
}

/**
 * Decides which account the path's `:login` means.
 * @param login as in the path, decoded; `my` is the signer's account
 * @throws ServiceError 404 for an unknown login, 403 for another's
 */
export async function authorize(
  source: AccountSource,
  signer: AccountInfo,
  login: string,
): Promise<Account> {
  const own = signer.account;
  const isOwn = login === 'my' || login === own.login || login === own.uuid;
  if (signer.user !== undefined) {
    requireAdministrator(signer, login, isOwn);
    return own;
  }
  if (isOwn) return own;
  const other = await source.account(login);
  if (other === null) throw notFound(`${login} does not exist`);
  if (own.isOperator === true) return other.account;
  throw forbidden(`You do not have permission to access ${login}`);
}

function requireAdministrator(
  signer: AccountInfo,
  login: string,
  isOwn: boolean,
): void {
  const held = signer.user?.defaultRoles ?? signer.user?.roles ?? [];
  const administrator = held.some(
    (uuid) => signer.roles?.[uuid]?.name === 'administrator',
  );
  if (isOwn && administrator) return;
  throw forbidden(`You do not have permission to access ${login}`);
}
