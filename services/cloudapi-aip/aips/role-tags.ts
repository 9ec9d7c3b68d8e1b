// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Role tags: customers name roles, what is stored are their UUIDs, so that a
 * role may be given another name (facts: cloudapi 1.6).
 */

import type { Account, AccountSource } from '../accounts/source.js';
import { invalidArgument } from './translate.js';

export interface RoleTags {
  /**
   * UUIDs of roles by their names.
   * @throws ServiceError 409 InvalidArgument for a name that is none
   */
  uuids(account: Account, names: string[]): Promise<string[]>;
  /** The header `role-tag`; none where there are no tags. */
  header(
    account: Account,
    uuids: string[] | undefined,
  ): Promise<Record<string, string>>;
}

/** Translates by an account source. */
export function createRoleTags(source: AccountSource): RoleTags {
  return {
    async uuids(account, names) {
      if (names.length === 0) return [];
      const known = await source.roleUuids(account, names);
      const lost = names.filter((name) => !known.has(name));
      if (lost.length > 0) {
        throw invalidArgument(`Role(s) ${lost.join(', ')} not found`);
      }
      return names.map((name) => known.get(name) as string);
    },
    async header(account, uuids = []) {
      if (uuids.length === 0) return {};
      const known = await source.roleNames(account, uuids);
      const names = uuids.flatMap((uuid) => known.get(uuid) ?? []);
      const ascii = names.filter((name) => /^[\x20-\x7e]+$/.test(name));
      return { 'role-tag': ascii.join(',') };
    },
  };
}
