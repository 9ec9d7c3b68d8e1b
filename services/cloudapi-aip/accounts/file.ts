// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Accounts from a JSON file: a list of what mahi would answer, one element for
 * each account and one more for each sub-user (with `user`). The file is read
 * once at start; a mistake in it stops the service with its place.
 */

import { readFileSync } from 'node:fs';
import { UsageError } from '#lib/errors.js';
import { compile } from '#lib/schema/validate.js';
import type { AccountInfo, AccountSource } from './source.js';

const keys = { type: 'object', additionalProperties: { type: 'string' } };
const uuid = {
  type: 'string',
  pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
};

const validate = compile<AccountInfo[]>({
  type: 'array',
  items: {
    type: 'object',
    required: ['account'],
    properties: {
      account: {
        type: 'object',
        required: ['uuid', 'login', 'keys'],
        properties: { uuid, login: { type: 'string', minLength: 1 }, keys },
      },
      user: {
        type: 'object',
        required: ['uuid', 'login', 'account', 'keys'],
        properties: {
          uuid,
          login: { type: 'string', minLength: 1 },
          account: uuid,
          keys,
        },
      },
      roles: { type: 'object' },
      key_names: keys,
    },
  },
});

/**
 * Reads the account file.
 * @throws UsageError naming the file and the place in it
 */
export function openAccountFile(file: string): AccountSource {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
  const checked = validate(parsed);
  if ('errors' in checked) {
    const first = checked.errors[0];
    throw new UsageError(`${file}: ${first?.field}: ${first?.message}`);
  }
  return accountList(checked.value);
}

/** An account source over values already in memory. */
export function accountList(list: AccountInfo[]): AccountSource {
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
