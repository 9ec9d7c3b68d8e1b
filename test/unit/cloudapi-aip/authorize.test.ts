// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What a signer may act on: accounts, operators, sub-users and their roles. */

import test from 'tape';
import type { ServiceError } from '#lib/errors.js';
import { accountList } from '../../../services/cloudapi-aip/accounts/file.js';
import type { AccountInfo } from '../../../services/cloudapi-aip/accounts/source.js';
import {
  type Action,
  authorize,
} from '../../../services/cloudapi-aip/auth/authorize.js';
import {
  ALICE,
  account,
  BOB,
  deputy,
  everyone,
  KEYS,
  OPERATOR,
} from './identities.js';

const SOURCE = accountList(everyone());

const LIST: Action = {
  name: 'listaips',
  resource: 'aips',
  tags: async () => [],
  conditions: {},
};
const LISTING = '/alice/aips (listaips)';

/** The account's UUID, or status and message of the refusal. */
async function outcome(
  signer: AccountInfo,
  login: string,
  asRole?: unknown,
): Promise<string> {
  try {
    const { account } = await authorize(SOURCE, signer, login, LIST, asRole);
    return account.uuid;
  } catch (error) {
    const { status, body } = error as ServiceError;
    return `${status} ${body.code}: ${body.message}`;
  }
}

const NO = (what: string) =>
  `403 NotAuthorized: You do not have permission to access ${what}`;

test('an account acts on itself by login, UUID or my', async (t) => {
  const alice = account('alice', ALICE, KEYS.alice);
  for (const login of ['my', 'alice', ALICE]) {
    t.equal(await outcome(alice, login), ALICE, login);
  }
  t.equal(await outcome(alice, 'bob'), NO('bob'));
  t.equal(await outcome(alice, BOB), NO(BOB));
  t.equal(
    await outcome(alice, 'nobody'),
    '404 ResourceNotFound: nobody does not exist',
  );
});

test('an operator acts on every account', async (t) => {
  const operator = account('root', OPERATOR, KEYS.operator, {
    isOperator: true,
  });
  t.equal(await outcome(operator, 'alice'), ALICE);
  t.equal(await outcome(operator, BOB), BOB);
  t.equal(await outcome(operator, 'my'), OPERATOR);
  t.ok((await outcome(operator, 'nobody')).startsWith('404'));
  const almost = account('root', OPERATOR, KEYS.operator, {
    isOperator: 'true',
  });
  t.equal(await outcome(almost, 'alice'), NO('alice'));
});

test('role-operators are operators when they say so', async (t) => {
  const member = account('bob', BOB, KEYS.bob, { groups: ['role-operators'] });
  t.equal(await outcome(member, 'alice'), NO('alice'));
  t.equal(await outcome(member, 'alice', 'x,_operator'), ALICE);
  const bob = account('bob', BOB, KEYS.bob, { groups: ['x'] });
  t.equal(await outcome(bob, 'alice', '_operator'), NO('alice'));
});

test('a sub-user needs the role administrator', async (t) => {
  t.equal(await outcome(deputy(), 'my'), ALICE);
  t.equal(await outcome(deputy(), 'alice'), ALICE);
  t.equal(await outcome(deputy({ defaultRoles: [] }), 'my'), NO(LISTING));
  t.equal(
    await outcome(deputy({ defaultRoles: [], roles: ['administrator'] }), 'my'),
    NO(LISTING),
    'a role is known by its UUID, not by what it calls itself',
  );
});

test('a sub-user never acts on another account', async (t) => {
  t.equal(await outcome(deputy(), 'bob'), NO('bob'));
  t.equal(await outcome(deputy(), 'nobody'), NO('nobody'));
  const operator = deputy();
  operator.account.isOperator = true;
  t.equal(await outcome(operator, 'bob'), NO('bob'), "an operator's neither");
});

test('as-role chooses among the roles that are held', async (t) => {
  t.equal(await outcome(deputy(), 'my', 'reader'), NO(LISTING));
  t.equal(await outcome(deputy(), 'my', 'reader,administrator'), ALICE);
  const [administrator] = Object.keys(deputy().roles ?? {});
  const idle = deputy({ roles: [administrator as string], defaultRoles: [] });
  t.equal(await outcome(idle, 'my', 'administrator'), ALICE);
  t.equal(await outcome(idle, 'my', ['administrator']), ALICE);
  t.equal(await outcome(idle, 'my', 'reader'), NO('role reader'));
});

test("another account's administrator role gives nothing", async (t) => {
  const info = deputy();
  for (const role of Object.values(info.roles ?? {})) role.account = BOB;
  t.equal(await outcome(info, 'my'), NO(LISTING));
});
