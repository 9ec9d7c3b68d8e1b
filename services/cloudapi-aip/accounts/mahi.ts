// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Accounts from mahi over HTTP (facts: cloudapi 2.5). Answers are kept for a
 * moment, as CloudAPI keeps them 300 ms, so that a burst of requests by one
 * customer asks once; absence is not kept.
 */

import type { Clock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import { HttpClient } from '#lib/http/client.js';
import type { AccountInfo, AccountSource } from './source.js';

const KEEP_MS = 300;
const KEEP_MOST = 1000;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Asks a mahi server.
 * @param options its URL, the clock that ages answers
 */
export function openMahi(options: {
  url: string;
  clock: Clock;
  timeoutMs: number;
}): AccountSource {
  const client = new HttpClient({
    url: options.url,
    timeoutMs: options.timeoutMs,
  });
  const kept = new Map<string, { info: AccountInfo; until: number }>();

  async function ask(
    path: string,
    query: Record<string, string>,
  ): Promise<AccountInfo | null> {
    const key = `${path}?${new URLSearchParams(query)}`;
    const now = options.clock.monotonic();
    const known = kept.get(key);
    if (known !== undefined && known.until > now) return known.info;
    kept.delete(key);
    try {
      const answer = await client.get<AccountInfo>(path, { query });
      if (kept.size >= KEEP_MOST) kept.clear();
      kept.set(key, { info: answer.body, until: now + KEEP_MS });
      return answer.body;
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return null;
      throw error;
    }
  }

  return {
    account: (login) =>
      UUID.test(login)
        ? ask(`/accounts/${login}`, {})
        : ask('/accounts', { login }),
    async user(login, sublogin) {
      const account = await this.account(login);
      if (account === null) return null;
      const info = UUID.test(sublogin)
        ? await ask(`/users/${sublogin}`, {})
        : await ask('/users', {
            account: account.account.login,
            login: sublogin,
            fallback: 'false',
          });
      const ours = info?.user?.account === account.account.uuid;
      return ours ? info : null;
    },
    close: () => client.close(),
  };
}
