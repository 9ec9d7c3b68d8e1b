// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** docs/placement.md against the tests: each row names tests, and they exist. */

import { readFileSync } from 'node:fs';
import test from 'tape';
import { testNames } from '#test/test-names.js';

/** How many promises of placement there are, and how many failures. */
const COUNTS = { P: 12, Z: 11 };

const rows = [
  ...readFileSync('docs/placement.md', 'utf8').matchAll(
    /^\| ([PZ]\d+) \| .+ \| (.*) \|$/gm,
  ),
].map(([, id, last]) => ({
  id: id as string,
  tests: [...(last as string).matchAll(/`([^`]+)`/g)].map(
    (match) => match[1] as string,
  ),
}));

test('docs/placement.md has every promise and failure, in order', (t) => {
  const expected = Object.entries(COUNTS).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, i) => `${kind}${i + 1}`),
  );
  t.deepEqual(
    rows.map(({ id }) => id),
    expected,
  );
  t.end();
});

test('each names tests that exist', (t) => {
  const names = testNames();
  for (const { id, tests } of rows) {
    t.ok(tests.length > 0, `${id} names a test`);
    const missing = tests.filter((name) => !names.has(name));
    t.deepEqual(missing, [], `${id}: its tests exist`);
  }
  t.end();
});

test('the promises of placement are shown with packets', (t) => {
  const system = testNames('test/system');
  for (const { id, tests } of rows.filter((row) => row.id.startsWith('P'))) {
    const others = tests.filter((name) => !system.has(name));
    t.deepEqual(others, [], `${id}: by system tests`);
  }
  t.end();
});
