// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** docs/bgp.md against the tests: each requirement has tests, and they exist. */

import { readFileSync } from 'node:fs';
import test from 'tape';
import { testNames } from '#test/test-names.js';

test('each requirement of docs/bgp.md names tests that exist', (t) => {
  const page = readFileSync('docs/bgp.md', 'utf8');
  const [, section = ''] = page.split('## Requirements and their tests');
  const rows = [...section.matchAll(/^\| ([^|]+) \| (`.*`) \|$/gm)];
  t.ok(rows.length > 10, `${rows.length} requirements`);
  const names = testNames();
  for (const [, requirement, tests = ''] of rows) {
    const named = [...tests.matchAll(/`([^`]+)`/g)].map(
      ([, name = '']) => name,
    );
    const missing = named.filter((name) => !names.has(name));
    t.deepEqual(missing, [], `${requirement}: its tests exist`);
  }
  t.end();
});
