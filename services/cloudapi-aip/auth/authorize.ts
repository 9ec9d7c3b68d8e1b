// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which account a request acts on, and whether its signer may (facts: cloudapi
 * 1.5, 1.6). An account acts on itself, an operator on every account. A
 * sub-user acts on its own account alone and needs the role `administrator`
 * there: CloudAPI does not compare the path's account with a sub-user's, here
 * it is. Finer rules come with role-based access. Pure but for the look-up.
 */

import { notFound, ServiceError } from '#lib/errors.js';
import type {
  Account,
  AccountInfo,
  AccountSource,
  User,
} from '../accounts/source.js';

/** Who signed, and on whose account the request acts. */
export interface Caller {
  signer: AccountInfo;
  account: Account;
}

/**
 * @param login as in the path, decoded; `my` is the signer's account
 * @param asRole the query's `as-role`: names of roles separated by commas
 * @returns the account that the path means
 * @throws ServiceError 404 for an unknown login, 403 for another's, or for a
 *   role that the signer does not have
 */
export async function authorize(
  source: AccountSource,
  signer: AccountInfo,
  login: string,
  asRole?: unknown,
): Promise<Account> {
  const own = signer.account;
  const asked = roleNames(asRole);
  const isOwn = login === 'my' || login === own.login || login === own.uuid;
  if (signer.user !== undefined) {
    const active = activeRoles(signer, signer.user, asked);
    if (isOwn && active.has('administrator')) return own;
    throw forbidden(login);
  }
  if (isOwn) return own;
  const other = await source.account(login);
  if (other === null) throw notFound(`${login} does not exist`);
  if (isOperator(own, asked)) return other.account;
  throw forbidden(login);
}

function forbidden(what: string): ServiceError {
  return new ServiceError(403, {
    code: 'NotAuthorized',
    message: `You do not have permission to access ${what}`,
  });
}

function roleNames(asRole: unknown): string[] | null {
  if (asRole === undefined || asRole === '') return null;
  return [asRole]
    .flat()
    .flatMap((text) => String(text).split(','))
    .map((name) => name.trim());
}

/** `role-operators` are operators only while they say so. */
function isOperator(account: Account, asked: string[] | null): boolean {
  if (account.isOperator === true) return true;
  return (
    account.groups?.includes('role-operators') === true &&
    asked?.includes('_operator') === true
  );
}

/** Names of the roles in force: those asked for, else the default ones. */
function activeRoles(
  signer: AccountInfo,
  user: User,
  asked: string[] | null,
): Set<string> {
  const names = (uuids: string[]) =>
    new Set(uuids.flatMap((uuid) => roleName(signer, uuid) ?? []));
  if (asked === null) return names(user.defaultRoles ?? user.roles ?? []);
  const held = names([...(user.roles ?? []), ...(user.defaultRoles ?? [])]);
  const lacking = asked.find((name) => !held.has(name));
  if (lacking !== undefined) throw forbidden(`role ${lacking}`);
  return new Set(asked);
}

/** A role of another account gives nothing here, whatever its name. */
function roleName(signer: AccountInfo, uuid: string): string | undefined {
  const roles = signer.roles ?? {};
  const role = Object.hasOwn(roles, uuid) ? roles[uuid] : undefined;
  const isOurs =
    role?.account === undefined || role.account === signer.account.uuid;
  return isOurs ? role?.name : undefined;
}
