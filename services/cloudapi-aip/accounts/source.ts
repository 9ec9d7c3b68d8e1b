// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Who may sign: accounts, their sub-users and keys, in the shape of mahi's
 * answers (facts: cloudapi 2.5). Two sources give the same thing: a file for a
 * standalone site and mahi over HTTP inside Triton.
 */

/** MD5 colon fingerprint -> public key in PEM. */
export type Keys = Record<string, string>;

export interface Account {
  uuid: string;
  login: string;
  keys: Keys;
  isOperator?: boolean;
  groups?: string[];
  disabled?: boolean;
}

export interface User {
  uuid: string;
  login: string;
  /** UUID of the account the sub-user belongs to. */
  account: string;
  keys: Keys;
  roles?: string[];
  defaultRoles?: string[];
  disabled?: boolean;
}

export interface Role {
  uuid?: string;
  name: string;
  /** UUID of the account that the role belongs to. */
  account?: string;
  /** What it allows: Aperture's text, or text and parsed form as mahi has. */
  rules?: (string | [string, unknown])[];
}

/** What mahi answers for an account, with a sub-user when asked for one. */
export interface AccountInfo {
  account: Account;
  user?: User;
  roles?: Record<string, Role>;
  /**
   * Extension of the file: names of the signer's keys -> fingerprint. mahi has
   * no names.
   */
  key_names?: Record<string, string>;
}

/** Looks accounts up; `login` may be a login or a UUID. Null: no such. */
export interface AccountSource {
  account(login: string): Promise<AccountInfo | null>;
  /** Null also when the account has no such sub-user. */
  user(login: string, sublogin: string): Promise<AccountInfo | null>;
  /** UUIDs of an account's roles by their names; unknown names are left out. */
  roleUuids(account: Account, names: string[]): Promise<Map<string, string>>;
  /** Names by UUID; unknown UUIDs are left out. */
  roleNames(account: Account, uuids: string[]): Promise<Map<string, string>>;
  close(): void;
}
