// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** docs/placement.md against the tests: each failure has tests, and they exist. */

import { readFileSync } from 'node:fs';
import test from 'tape';
import { testNames } from '#test/test-names.js';

const FAILURES = 11;

const rows = [
  ...readFileSync('docs/placement.md', 'utf8').matchAll(
    /^\| (Z\d+) \| .+ \| (.*) \|$/gm,
  ),
].map(([, id, last]) => ({
  id: id as string,
  tests: [...(last as string).matchAll(/`([^`]+)`/g)].map(
    (match) => match[1] as string,
  ),
}));

test('docs/placement.md has every failure once, in order', (t) => {
  const expected = Array.from({ length: FAILURES }, (_, i) => `Z${i + 1}`);
  t.deepEqual(
    rows.map(({ id }) => id),
    expected,
  );
  t.end();
});

test('each failure names tests that exist', (t) => {
  const names = testNames();
  for (const { id, tests } of rows) {
    t.ok(tests.length > 0, `${id} names a test`);
    const missing = tests.filter((name) => !names.has(name));
    t.deepEqual(missing, [], `${id}: its tests exist`);
  }
  t.end();
});
