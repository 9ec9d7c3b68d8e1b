// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Hostile HTTP, signed, against cloudapi-aip before a real napi-nat; and every
 * parameter of every call held against its own schema.
 */

import test from 'tape';
import { fuzzHttp } from '#test/http-fuzz/fuzz.js';
import { storeDigest } from '#test/store-digest.js';
import {
  type Operation,
  operations,
} from '../../services/cloudapi-aip/api/operations.js';
import {
  type CloudWorld,
  INSTANCE,
  SECOND,
  startCloud,
} from '../scenario/cloudapi-world.js';
import { KEYS, signed } from '../unit/cloudapi-aip/identities.js';
import { schemaAttacks, urlOf } from './schema-attacks.js';

const KEY_ID = `/alice/keys/${KEYS.alice.md5}`;

test('no request breaks cloudapi-aip, none that is refused is done', async (t) => {
  const worlds: CloudWorld[] = [];
  await fuzzHttp(t, {
    attacks: 700,
    async start() {
      await worlds.pop()?.napi.stop();
      const world = await startCloud(t);
      worlds.push(world);
      const made = await world.call('POST', '/my/aips', {
        body: { instance: INSTANCE, deletion_protection: true },
      });
      const { id } = made.body as { id: string };
      const known = { id, instance: SECOND };
      const calls = Object.values<Operation>(operations).map((operation) => ({
        method: operation.method,
        path: urlOf(operation, known),
        body:
          operation.body.length > 0 ? { instance: SECOND, remap: true } : {},
        fields: [...operation.query, ...operation.body].flatMap(({ names }) =>
          names.map((name) => name.replace('*', 'a')),
        ),
      }));
      return {
        port: world.port,
        calls,
        digest: () => storeDigest(world.napi.store),
        more(rng) {
          const attacks = schemaAttacks(rng, known);
          t.ok(attacks.length > 200, `${attacks.length} by the schemas`);
          return attacks;
        },
        sign: (method, url) =>
          signed(KEYS.alice, KEY_ID, { method, url, now: Date.now() }),
      };
    },
  });
});
