// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Accounts from a JSON file: a list of what mahi would answer, one element for
 * each account and one more for each sub-user (with `user`). The file is read
 * once at start; a mistake in it stops the service with its place, since later
 * it could only show as a customer's unexplained 401.
 */

import sshpk from 'sshpk';
import { UsageError } from '#lib/errors.js';
import { loadConfig } from '#lib/service/config.js';
import { accountInfoSchema } from './shape.js';
import type { AccountInfo, AccountSource, Keys } from './source.js';

/**
 * Reads the account file.
 * @throws UsageError naming the file and the place in it
 */
export function openAccountFile(file: string): AccountSource {
  const list = loadConfig<AccountInfo[]>(file, {
    type: 'array',
    items: accountInfoSchema,
  });
  const wrong = list.flatMap((info, i) => [
    ...identityFaults(list, info, i),
    ...keyFaults(info.account.keys, `/${i}/account/keys`),
    ...keyFaults(info.user?.keys ?? {}, `/${i}/user/keys`),
    ...nameFaults(info, `/${i}/key_names`),
  ]);
  if (wrong.length > 0) {
    throw new UsageError(wrong.map((fault) => `${file}: ${fault}`).join('\n'));
  }
  return accountList(list);
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
    close: () => undefined,
  };
}
