// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Hostile HTTP against vxlnatd's admin interface: every route and field. */

import test from 'tape';
import { fuzzHttp } from '#test/http-fuzz/fuzz.js';
import { MATCH_FIELDS } from '../../services/vxlnatd/query.js';
import { setUp } from '../unit/vxlnatd/admin-world.js';

/** Every field that any route reads; to the others it is a stranger. */
const FIELDS = [
  ...MATCH_FIELDS,
  'limit',
  'cursor',
  'public_port',
  'remote_port',
  'dry_run',
  'direction',
  'drop',
  'count',
  'seconds',
  'point',
  'snap',
  'src',
  'dst',
  'sport',
  'dport',
  'flags',
  'icmp_type',
  'ttl',
  'size',
  'ip',
  'most',
];

test('no request breaks vxlnatd, none that is refused is done', async (t) => {
  await fuzzHttp(t, {
    attacks: 700,
    async start() {
      const { http, engine, routes, reconciler } = await setUp(t);
      const calls = routes.flatMap(({ method, path }) =>
        [method].flat().map((each) => ({
          method: each,
          path,
          body: {},
          ignoresBody: true,
          fields: FIELDS,
        })),
      );
      const { applied } = reconciler;
      return {
        port: http.port,
        calls,
        digest: async () =>
          JSON.stringify([
            engine.operations,
            engine.flowList,
            engine.detached,
            [...applied.rules.values()],
            [...applied.entries.values()],
            [...applied.announced],
          ]),
      };
    },
  });
});
