// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * docs/nat-behaviour.md against the tests: every requirement and every known
 * bug has its row, and each row names tests that exist, or says in so many
 * words why there is none.
 */

import { readFileSync } from 'node:fs';
import test from 'tape';
import { testNames } from '#test/test-names.js';

/** How many there are of each letter. */
const IDS = {
  U: 16,
  T: 18,
  I: 17,
  P: 15,
  K: 7,
  L: 5,
  F: 6,
  M: 6,
  X: 10,
  A: 6,
  G: 8,
  S: 7,
  B: 50,
};

interface Row {
  id: string;
  decision: string;
  tests: string[];
  why: string;
}

const rows: Row[] = [
  ...readFileSync('docs/nat-behaviour.md', 'utf8').matchAll(
    /^\| ([A-Z]\d+) \| (.*?) ?\| (.*) \|$/gm,
  ),
].map(([, id, decision, last]) => ({
  id: id as string,
  decision: decision as string,
  tests: [...(last as string).matchAll(/`([^`]+)`/g)].map(
    (match) => match[1] as string,
  ),
  why: /^(?:Cannot apply|Not built)\b/.test(last as string)
    ? (last as string)
    : '',
}));

test('docs/nat-behaviour.md has every id once, in order', (t) => {
  const expected = Object.entries(IDS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
  );
  t.deepEqual(
    rows.map((row) => row.id),
    expected,
  );
  t.end();
});

test('each row names tests that exist, or says why there is none', (t) => {
  const names = testNames();
  t.ok(names.size > 100, 'there are tests');
  for (const row of rows) {
    if (row.why !== '') continue;
    t.ok(row.tests.length > 0, `${row.id} names a test`);
    t.deepEqual(
      row.tests.filter((name) => !names.has(name)),
      [],
      `${row.id}: its tests exist`,
    );
  }
  t.end();
});

test('a bug whose test bears its number is named by that test', (t) => {
  const unnamed = [...testNames()].flatMap((name) =>
    [...name.matchAll(/\bB(\d+)\b/g)]
      .map((match) => rows.find((row) => row.id === match[0]))
      .filter((row) => row !== undefined && !row.tests.includes(name))
      .map((row) => `${row?.id}: ${name}`),
  );
  t.deepEqual(unnamed, []);
  t.end();
});
