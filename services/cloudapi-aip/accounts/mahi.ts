// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Accounts from mahi over HTTP (facts: cloudapi 2.5). Answers are kept for a
 * moment, as CloudAPI keeps them 300 ms, so that a burst of requests by one
 * customer asks once; absence is not kept. Whatever is wrong with mahi is 503
 * to the customer, and said in full in our log.
 */

import type { Clock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import { HttpClient } from '#lib/http/client.js';
import { compile } from '#lib/schema/validate.js';
import type { Logger } from '#lib/service/log.js';
import { accountInfoSchema } from './shape.js';
import type { AccountInfo, AccountSource } from './source.js';

const KEEP_MS = 300;
const KEEP_MOST = 1000;
const ODD_ANSWER = 'mahi answered with something that is no account';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Query = Record<string, string | string[]>;

function unavailable(): ServiceError {
  return new ServiceError(503, {
    code: 'ServiceUnavailableError',
    message: 'accounts cannot be looked up at the moment; try again',
  });
}

/** The text values of an object, whatever else mahi put there. */
function textMap(object: unknown): Map<string, string> {
  const entries = Object.entries((object ?? {}) as Record<string, unknown>);
  return new Map(
    entries.flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    ),
  );
}

const checkShape = compile<AccountInfo>(accountInfoSchema);

/**
 * Asks a mahi server.
 * @param options its URL, the clock that ages answers
 */
export function openMahi(options: {
  url: string;
  clock: Clock;
  timeoutMs: number;
  log: Logger;
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
    const info = await fetchInfo(path, query);
    if (info === null) return null;
    if (kept.size >= KEEP_MOST) kept.clear();
    kept.set(key, { info, until: now + KEEP_MS });
    return info;
  }

  /** What mahi answers; null for what it does not know. */
  async function fetchMap(path: string, query: Query): Promise<unknown> {
    try {
      return (await client.get(path, { query })).body;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.status === 404) return null;
      options.log.warn({ err: error, path, query }, 'mahi did not answer');
      throw unavailable();
    }
  }

  async function fetchInfo(
    path: string,
    query: Query,
  ): Promise<AccountInfo | null> {
    const body = await fetchMap(path, query);
    if (body === null) return null;
    const checked = checkShape(body);
    if ('value' in checked) return checked.value;
    options.log.warn({ path, query, errors: checked.errors }, ODD_ANSWER);
    throw unavailable();
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
    async roleUuids({ login }, names) {
      const query = { account: login, type: 'role', name: names };
      const body = await fetchMap('/uuids', query);
      return textMap((body as { uuids?: unknown } | null)?.uuids);
    },
    async roleNames(_account, uuids) {
      return textMap(await fetchMap('/names', { uuid: uuids }));
    },
    close: () => client.close(),
  };
}
