// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Hostile HTTP against vxlnatd's admin interface: every route and field, over
 * the engine's double and, as root, over the engine itself with flows in it.
 */

import test from 'tape';
import type { Route } from '#lib/http/types.js';
import { type Call, fuzzHttp } from '#test/http-fuzz/fuzz.js';
import { openFlows, realEngine } from '#test/real-engine.js';
import type { Engine } from '../../services/vxlnatd/engine.js';
import type { Applied } from '../../services/vxlnatd/plan.js';
import { MATCH_FIELDS } from '../../services/vxlnatd/query.js';
import { setUp, setUpOver } from '../unit/vxlnatd/admin-world.js';

const isRoot = process.getuid?.() === 0;

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

function callsOf(routes: readonly Route[]): Call[] {
  return routes.flatMap(({ method, path }) =>
    [method].flat().map((each) => ({
      method: each,
      path,
      body: {},
      ignoresBody: true,
      fields: FIELDS,
    })),
  );
}

function shown({ rules, entries, announced }: Applied): unknown[] {
  return [[...rules.values()], [...entries.values()], [...announced]];
}

test('no request breaks vxlnatd, none that is refused is done', async (t) => {
  await fuzzHttp(t, {
    attacks: 700,
    async start() {
      const { http, engine, routes, reconciler } = await setUp(t);
      return {
        port: http.port,
        calls: callsOf(routes),
        digest: async () =>
          JSON.stringify([
            engine.operations,
            engine.flowList,
            engine.detached,
            shown(reconciler.applied),
          ]),
      };
    },
  });
});

const EVERY_FLOW = {
  ...{ vnet: null, private_ip: null, public_ip: null, remote_ip: null },
  ...{ proto: null, port: null, limit: 1000, cursor: 0 },
};

/** What a request could change in a real engine; not how time goes by. */
async function contents(engine: Engine): Promise<unknown> {
  const { flows } = await engine.flows(EVERY_FLOW);
  const { vnets, publics } = await engine.counts();
  const ports = flows.map((each) => [each.private_port, each.packets_out]);
  return [ports, vnets, publics, engine.io().path, engine.drops()];
}

test('nor does one break the engine', { skip: !isRoot }, async (t) => {
  await fuzzHttp(t, {
    attacks: 400,
    async start() {
      const real = await realEngine(t);
      const { engine } = real;
      const { http, routes, reconciler } = await setUpOver(t, engine);
      await openFlows(real, 1, [1001, 1002, 1003]);
      return {
        port: http.port,
        calls: callsOf(routes),
        digest: async () =>
          JSON.stringify([await contents(engine), shown(reconciler.applied)]),
      };
    },
  });
});
