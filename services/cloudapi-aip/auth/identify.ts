// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Before a call: whose signature it is, how often its account may ask, and
 * whether it may do this to that resource.
 */

import type { Clock } from '#lib/clock.js';
import { ServiceError } from '#lib/errors.js';
import type { Request } from '#lib/http/types.js';
import type { Account, AccountSource } from '../accounts/source.js';
import { isUuid } from '../aips/input.js';
import { explained } from '../aips/routes.js';
import type { AipBackend } from '../napi-nat.js';
import type { Throttle } from '../throttle.js';
import { authenticate } from './authenticate.js';
import { type Action, authorize, type Caller } from './authorize.js';

export interface Identifier {
  accounts: AccountSource;
  clock: Clock;
  throttle: Throttle;
  datacenter: string;
  backendFor(request: Request): AipBackend;
}

/** Setting role tags is an action of its own, as it is in CloudAPI. */
function actionsOf({ routeName = '', params }: Request): string[] {
  if (routeName !== 'updateaip' || params['role-tag'] === undefined) {
    return [routeName];
  }
  const others = Object.keys(params).filter(
    (name) => !['role-tag', 'login', 'id', 'as-role'].includes(name),
  );
  const tagging = 'replaceresourceroletags';
  return others.length > 0 ? [tagging, routeName] : [tagging];
}

async function tagsOf(
  { backendFor }: Identifier,
  request: Request,
  account: Account,
): Promise<string[]> {
  const { id } = request.route;
  const plain = { ...request, headers: {} };
  const backend = backendFor(plain);
  try {
    if (id === undefined)
      return (await backend.account(account.uuid)).role_tags;
    if (!isUuid(id)) return [];
    return (await backend.get(account.uuid, id)).aip?.role_tags ?? [];
  } catch (error) {
    if (error instanceof ServiceError && error.status === 404) return [];
    throw explained(request, error);
  }
}

/**
 * @returns who signed and on whose account the request acts
 * @throws ServiceError 400/401/403/404/429
 */
export async function identify(
  identifier: Identifier,
  request: Request,
): Promise<Caller> {
  const { accounts, clock, throttle, datacenter } = identifier;
  const now = clock.now();
  const signer = await authenticate(accounts, now, request);
  // Known before anything is refused, for the log.
  request.context['signer'] = signer;
  throttle(signer.account.login);
  const { login = '', id } = request.route;
  const date = new Date(now);
  const action: Omit<Action, 'name'> = {
    resource: id === undefined ? 'aips' : `aips/${id}`,
    tags: (account) => tagsOf(identifier, request, account),
    conditions: {
      date,
      day: date,
      time: date,
      'user-agent': request.headers['user-agent'],
      sourceip: request.remoteAddress,
      method: request.method.toLowerCase(),
      datacenter,
    },
  };
  const asRole = request.query['as-role'];
  const [first = '', ...more] = actionsOf(request);
  const ask = (name: string) =>
    authorize(accounts, signer, login, { ...action, name }, asRole);
  const caller = await ask(first);
  for (const name of more) await ask(name);
  return caller;
}
