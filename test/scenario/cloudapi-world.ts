// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * cloudapi-aip before a real napi-nat: alice has a fabric with two instances,
 * one zone serves, and her sub-users hold roles.
 */

import type { Test } from 'tape';
import type { Clock } from '#lib/clock.js';
import type { Dataplane } from '#lib/model/dataplane.js';
import type { Logger } from '#lib/service/log.js';
import {
  addFabric,
  addNic,
  type OpenWorld,
  startWorld,
  uuidOf,
  type WorldOptions,
  zoneState,
} from '#test/nat-world.js';
import type { AccountInfo } from '../../services/cloudapi-aip/accounts/source.js';
import type { Config } from '../../services/cloudapi-aip/config.js';
import {
  type Answer,
  accountFile,
  type Call,
  type Customers,
  serve,
} from '../unit/cloudapi-aip/deployment.js';
import { ALICE, account, BOB, KEYS } from '../unit/cloudapi-aip/identities.js';

export const INSTANCE = uuidOf(2, 1);
export const SECOND = uuidOf(2, 2);
const ZONE = uuidOf(7, 1);
const READERS = '33333333-0000-4000-8000-000000000011';
const EDITORS = '33333333-0000-4000-8000-000000000012';

export interface CloudWorld extends Customers {
  napi: OpenWorld;
  /** The zone says that it has applied everything. */
  beat(): Promise<void>;
}

/** Alice, her sub-users `rita` (readers) and `ed` (readers, editors), bob. */
export function people(): AccountInfo[] {
  const roles = {
    [READERS]: {
      uuid: READERS,
      name: 'readers',
      account: ALICE,
      rules: ['CAN listaips and getaip'],
    },
    [EDITORS]: {
      uuid: EDITORS,
      name: 'editors',
      account: ALICE,
      rules: ['CAN createaip, updateaip and getaip'],
    },
  };
  const sub = (login: string, n: number, held: string[]): AccountInfo => ({
    ...account('alice', ALICE, KEYS.alice),
    key_names: {},
    roles,
    user: {
      uuid: uuidOf(5, n),
      login,
      account: ALICE,
      keys: { [KEYS.user.md5]: KEYS.user.publicPem },
      roles: held,
      defaultRoles: [held[0] as string],
    },
  });
  return [
    account('alice', ALICE, KEYS.alice),
    sub('rita', 1, [READERS]),
    sub('ed', 2, [READERS, EDITORS]),
    account('bob', BOB, KEYS.bob),
  ];
}

/** How a sub-user of alice, or bob, signs. */
export function as(login: 'rita' | 'ed' | 'bob'): Call {
  if (login === 'bob') {
    return { key: KEYS.bob, keyId: `/bob/keys/${KEYS.bob.md5}` };
  }
  const keyId = `/alice/users/${login}/keys/${KEYS.user.md5}`;
  return { key: KEYS.user, keyId };
}

/** Status and code of an answer. */
export function outcome({ status, body }: Answer): string {
  const code = (body as { code?: string } | undefined)?.code;
  return code === undefined ? String(status) : `${status} ${code}`;
}

/** Starts everything; it ends with the test. */
export async function startCloud(
  t: Test,
  options: WorldOptions = {},
  more: Partial<Config> & { clock?: Clock; log?: Logger } = {},
): Promise<CloudWorld> {
  const napi = await startWorld(t, { heartbeat_ms: 60_000, ...options });
  await napi.must('POST', '/nat_zones', {
    uuid: ZONE,
    ul3_ip: '127.0.0.11',
    external_ip: '3.3.3.251',
  });
  let progress = 0;
  const beat = async () => {
    const { position, digest } = await napi.must<Dataplane>(
      'GET',
      '/dataplane',
    );
    progress += 1;
    const body = { progress, position, digest, announced: [], flows: 0 };
    await napi.must('POST', `/nat_zones/${ZONE}/heartbeat`, body);
  };
  await beat();
  await zoneState(napi, ZONE, 'up');
  const { uuid } = await addFabric(napi, ALICE, 2, '10.4.4.0/24');
  for (const instance of [INSTANCE, SECOND]) {
    await addNic(napi, { owner: ALICE, instance, network: uuid });
  }
  const accounts = accountFile(t, people());
  const customers = await serve(t, { napi: napi.url, accounts, ...more });
  return { napi, beat, ...customers };
}
