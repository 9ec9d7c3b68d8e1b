// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** docs/napi-nat.md names every call of NAPI's, with a test that there is. */

import { existsSync, readFileSync } from 'node:fs';
import test from 'tape';
import type { Route } from '#lib/http/types.js';
import type { NapiContext } from '../../../services/napi-nat/context.js';
import { aggregationRoutes } from '../../../services/napi-nat/routes/aggregations.js';
import { fabricRoutes } from '../../../services/napi-nat/routes/fabrics.js';
import { ipRoutes } from '../../../services/napi-nat/routes/ips.js';
import { networkPoolRoutes } from '../../../services/napi-nat/routes/network-pools.js';
import { networkRoutes } from '../../../services/napi-nat/routes/networks.js';
import { nicTagRoutes } from '../../../services/napi-nat/routes/nic-tags.js';
import { nicRoutes } from '../../../services/napi-nat/routes/nics.js';
import { pingRoutes } from '../../../services/napi-nat/routes/ping.js';
import { searchRoutes } from '../../../services/napi-nat/routes/search.js';

/** Routes only look at their context when they are called. */
const CTX = { config: { overlay: { enabled: true } } } as NapiContext;
const ROW = /^\| `([A-Z ]+) (\/[^`]*)` \| [^|]+ \| ([^|]+) \|$/gm;

function served(): string[] {
  const routes: Route[] = [
    networkRoutes,
    ipRoutes,
    nicRoutes,
    networkPoolRoutes,
    nicTagRoutes,
    aggregationRoutes,
    searchRoutes,
    fabricRoutes,
    pingRoutes,
  ].flatMap((make) => make(CTX));
  return routes.flatMap(({ method, path }) =>
    [method].flat().map((each) => `${each} ${path}`),
  );
}

test('the table of calls is what is served', (t) => {
  const page = readFileSync('docs/napi-nat.md', 'utf8');
  const rows = [...page.matchAll(ROW)];
  const named = rows.flatMap(([, methods = '', path = '']) =>
    methods.split(' ').map((method) => `${method} ${path}`),
  );
  t.deepEqual(named.sort(), served().sort());
  const tests = rows.flatMap(([, , , files = '']) =>
    [...files.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string),
  );
  t.ok(tests.length >= rows.length, 'each has a test');
  const missing = tests.filter(
    (name) => !existsSync(`test/unit/napi-nat/${name}.test.ts`),
  );
  t.deepEqual(missing, []);
  const others = page.matchAll(
    /`(?:test\/scenario\/)?(napi-[a-z-]+\.test\.ts)`/g,
  );
  for (const [, name] of others) {
    t.ok(existsSync(`test/scenario/${name}`), name as string);
  }
  t.end();
});
