// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which account a request acts on, and whether its signer may (facts: cloudapi
 * 1.5, 1.6). An account acts on itself, an operator on every account. A
 * sub-user acts on its own account alone: CloudAPI does not compare the path's
 * account with a sub-user's, here it is. There it needs the role
 * `administrator`, or a role that the resource is tagged with and one of whose
 * rules allows the action, or a rule that names the resource itself.
 */

import { notFound, ServiceError } from '#lib/errors.js';
import type {
  Account,
  AccountInfo,
  AccountSource,
  Role,
  User,
} from '../accounts/source.js';
import { allows, namesResources, type Rule, ruleOf } from './rules.js';

/** Who signed, and on whose account the request acts. */
export interface Caller {
  signer: AccountInfo;
  account: Account;
  /** UUIDs of a sub-user's roles in force; none for an account. */
  roles: string[];
}

/** What the request wants to do. */
export interface Action {
  /** The route's name in lower case, such as `listaips`. */
  name: string;
  /** Path of the resource below the account, such as `aips/<id>`. */
  resource: string;
  /** UUIDs of the roles that the resource is tagged with. */
  tags(account: Account): Promise<string[]>;
  /** Facts of the request that rules may ask for. */
  conditions: Record<string, unknown>;
}

/**
 * @param login as in the path, decoded; `my` is the signer's account
 * @param asRole the query's `as-role`: names of roles separated by commas
 * @returns the account that the path means, and the roles in force
 * @throws ServiceError 404 for an unknown login, 403 for another's, for a role
 *   that the signer does not have, and for what no role allows
 */
export async function authorize(
  source: AccountSource,
  signer: AccountInfo,
  login: string,
  action: Action,
  asRole?: unknown,
): Promise<Caller> {
  const own = signer.account;
  const asked = roleNames(asRole);
  const isOwn = login === 'my' || login === own.login || login === own.uuid;
  if (signer.user !== undefined) {
    const roles = activeRoles(signer, signer.user, asked);
    if (!isOwn) throw forbidden(login);
    const caller = { signer, account: own, roles: [...roles.keys()] };
    if (await isAllowed(own, roles, action)) return caller;
    throw forbidden(`/${own.login}/${action.resource} (${action.name})`);
  }
  if (isOwn) return { signer, account: own, roles: [] };
  const other = await source.account(login);
  if (other === null) throw notFound(`${login} does not exist`);
  if (isOperator(own, asked)) {
    return { signer, account: other.account, roles: [] };
  }
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

/** The roles in force by UUID: those asked for, else the default ones. */
function activeRoles(
  signer: AccountInfo,
  user: User,
  asked: string[] | null,
): Map<string, Role> {
  const known = (uuids: string[]) =>
    new Map(
      uuids.flatMap((uuid) => {
        const role = ownRole(signer, uuid);
        return role === undefined ? [] : [[uuid, role] as const];
      }),
    );
  if (asked === null) return known(user.defaultRoles ?? user.roles ?? []);
  const held = known([...(user.roles ?? []), ...(user.defaultRoles ?? [])]);
  const names = new Set([...held.values()].map(({ name }) => name));
  const lacking = asked.find((name) => !names.has(name));
  if (lacking !== undefined) throw forbidden(`role ${lacking}`);
  return new Map([...held].filter(([, { name }]) => asked.includes(name)));
}

/** A role of another account gives nothing here, whatever its name. */
function ownRole(signer: AccountInfo, uuid: string): Role | undefined {
  const roles = signer.roles ?? {};
  const role = Object.hasOwn(roles, uuid) ? roles[uuid] : undefined;
  const isOurs =
    role?.account === undefined || role.account === signer.account.uuid;
  return isOurs ? role : undefined;
}

async function isAllowed(
  account: Account,
  roles: Map<string, Role>,
  action: Action,
): Promise<boolean> {
  const all = [...roles.values()];
  if (all.some(({ name }) => name === 'administrator')) return true;
  if (all.every(({ rules = [] }) => rules.length === 0)) return false;
  const tags = await action.tags(account);
  const wanted = {
    action: action.name,
    resource: `/${account.login}/${action.resource}`,
    conditions: { ...action.conditions, activeRoles: [...roles.keys()] },
  };
  return [...roles].some(([uuid, { rules = [] }]) => {
    const tagged = tags.includes(uuid);
    return rules
      .map(ruleOf)
      .filter((rule): rule is Rule => rule !== null)
      .some((rule) => (tagged || namesResources(rule)) && allows(rule, wanted));
  });
}
