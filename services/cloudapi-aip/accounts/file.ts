// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Accounts from a JSON file: a list of what mahi would answer, one element for
 * each account and one more for each sub-user (with `user`). A mistake in it at
 * start stops the service with its place, since later it could only show as a
 * customer's unexplained 401. While the service runs a changed file is read
 * anew, so that a key can be revoked; with a mistake in it nothing changes.
 */

import { statSync } from 'node:fs';
import sshpk from 'sshpk';
import type { Clock } from '#lib/clock.js';
import { UsageError } from '#lib/errors.js';
import { loadConfig } from '#lib/service/config.js';
import type { Logger } from '#lib/service/log.js';
import { parseRule } from '../auth/rules.js';
import { accountInfoSchema } from './shape.js';
import type { Account, AccountInfo, AccountSource, Keys } from './source.js';

/** How often the file is looked at. */
const LOOK_MS = 1000;

/**
 * Reads the account file, and again when it changes.
 * @param watch what to look with; without it the file is read once
 * @throws UsageError naming the file and the place in it
 */
export function openAccountFile(
  file: string,
  watch?: { clock: Clock; log: Logger },
): AccountSource {
  let accounts = accountList(readAccounts(file));
  let seen = stampOf(file);
  const timer = watch?.clock.every(LOOK_MS, () => {
    const now = stampOf(file);
    if (now === seen) return;
    seen = now;
    try {
      accounts = accountList(readAccounts(file));
      watch.log.info({ file }, 'accounts were read anew');
    } catch (err) {
      watch.log.error({ err, file }, 'accounts stay as they were');
    }
  });
  return {
    account: (login) => accounts.account(login),
    user: (login, sublogin) => accounts.user(login, sublogin),
    roleUuids: (account, names) => accounts.roleUuids(account, names),
    roleNames: (account, uuids) => accounts.roleNames(account, uuids),
    close: () => timer?.cancel(),
  };
}

/** What changes when the file does. */
function stampOf(file: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'gone';
  }
}

function readAccounts(file: string): AccountInfo[] {
  const list = loadConfig<AccountInfo[]>(file, {
    type: 'array',
    items: accountInfoSchema,
  });
  const wrong = list.flatMap((info, i) => [
    ...identityFaults(list, info, i),
    ...keyFaults(info.account.keys, `/${i}/account/keys`),
    ...keyFaults(info.user?.keys ?? {}, `/${i}/user/keys`),
    ...nameFaults(info, `/${i}/key_names`),
    ...ruleFaults(info, `/${i}/roles`),
  ]);
  if (wrong.length > 0) {
    throw new UsageError(wrong.map((fault) => `${file}: ${fault}`).join('\n'));
  }
  return list;
}

/** Elements that say different things of one login or one UUID. */
function identityFaults(
  list: readonly AccountInfo[],
  { account, user }: AccountInfo,
  at: number,
): string[] {
  const faults: string[] = [];
  const earlier = list.slice(0, at);
  const clash = earlier.findIndex(
    (other) =>
      (other.account.login === account.login) !==
      (other.account.uuid === account.uuid),
  );
  if (clash >= 0) {
    faults.push(`/${at}/account: is another one than /${clash}/account`);
  }
  const twice = earlier.findIndex(
    (other) =>
      other.account.uuid === account.uuid && other.user?.uuid === user?.uuid,
  );
  if (twice >= 0) faults.push(`/${at}: is there already as /${twice}`);
  if (user !== undefined && user.account !== account.uuid) {
    faults.push(`/${at}/user/account: is not the UUID of /${at}/account`);
  }
  return faults;
}

function keyFaults(keys: Keys, at: string): string[] {
  return Object.entries(keys).flatMap(([fingerprint, text]) => {
    const fault = keyFault(fingerprint, text);
    return fault === null ? [] : [`${at}/${fingerprint}: ${fault}`];
  });
}

function keyFault(fingerprint: string, text: string): string | null {
  if (text.includes('PRIVATE KEY')) {
    return 'is a private key; put its public key here';
  }
  try {
    const real = sshpk.parseKey(text, 'auto').fingerprint('md5');
    return real.toString('hex') === fingerprint
      ? null
      : `is the key with the fingerprint ${real.toString('hex')}`;
  } catch {
    return 'is not a public key in PEM';
  }
}

function ruleFaults({ roles = {} }: AccountInfo, at: string): string[] {
  return Object.entries(roles).flatMap(([uuid, { rules = [] }]) =>
    rules.flatMap((rule, i) =>
      typeof rule === 'string' && parseRule(rule) === null
        ? [`${at}/${uuid}/rules/${i}: is not "CAN <actions>"`]
        : [],
    ),
  );
}

function nameFaults({ account, user, key_names }: AccountInfo, at: string) {
  const { keys } = user ?? account;
  return Object.entries(key_names ?? {})
    .filter(([, fingerprint]) => !Object.hasOwn(keys, fingerprint))
    .map(([name]) => `${at}/${name}: is not a fingerprint in keys`);
}

/** An account source over values already in memory. */
export function accountList(list: readonly AccountInfo[]): AccountSource {
  const named = (who: { uuid: string; login: string }, name: string) =>
    who.login === name || who.uuid === name;
  const rolesOf = ({ uuid: owner }: Account) =>
    list
      .filter(({ account }) => account.uuid === owner)
      .flatMap(({ roles = {} }) => Object.entries(roles))
      .filter(([, role]) => (role.account ?? owner) === owner)
      .map(([uuid, { name }]) => [uuid, name] as const);
  return {
    account: async (login) =>
      list.find((info) => !info.user && named(info.account, login)) ??
      list.find((info) => named(info.account, login)) ??
      null,
    user: async (login, sublogin) =>
      list.find(
        (info) =>
          info.user !== undefined &&
          named(info.account, login) &&
          named(info.user, sublogin),
      ) ?? null,
    roleUuids: async (account, names) =>
      new Map(
        rolesOf(account)
          .filter(([, name]) => names.includes(name))
          .map(([uuid, name]) => [name, uuid]),
      ),
    roleNames: async (account, uuids) =>
      new Map(rolesOf(account).filter(([uuid]) => uuids.includes(uuid))),
    close: () => undefined,
  };
}
