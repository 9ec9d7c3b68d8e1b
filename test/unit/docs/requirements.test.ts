// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * docs/requirements.md against the tree: what it names is there, each paragraph
 * that asks for something has a test, and nothing is put off but the futures.
 */

import { existsSync, readFileSync } from 'node:fs';
import test from 'tape';
import { testNames } from '#test/test-names.js';

const TREE = /^(?:demo|docs|lib|native|sdcadm-plugin|services|test)\/\S+$/;

const page = readFileSync('docs/requirements.md', 'utf8');
const rows = [...page.matchAll(/^\| (.+?) \| (.+?) \| ?(.*?) ?\|$/gm)]
  .map(([, paragraph = '', where = '', tests = '']) => ({
    paragraph,
    where,
    tests,
  }))
  .filter(({ paragraph }) => paragraph !== 'paragraph');

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
}

test('every line of a table is read', (t) => {
  const lines = page.split('\n').filter((line) => /^\| (?!para)/.test(line));
  t.equal(rows.length, lines.length);
  t.ok(rows.length > 50, `${rows.length} paragraphs`);
  t.end();
});

test('what a paragraph names is in the tree', (t) => {
  for (const { paragraph, where } of rows) {
    const paths = quoted(where).filter((name) => TREE.test(name));
    const missing = paths.filter((path) => !existsSync(path));
    t.deepEqual(missing, [], paragraph);
  }
  t.end();
});

test('each paragraph that asks for something has a test', (t) => {
  const names = testNames();
  for (const { paragraph, where, tests } of rows) {
    const future = paragraph.startsWith('Possible futures');
    if (where.startsWith('background') || future) continue;
    t.doesNotMatch(where, /\blater\b/, paragraph);
    const named = quoted(tests);
    t.ok(named.length > 0, 'it names a test');
    t.deepEqual(
      named.filter((name) => !names.has(name)),
      [],
      paragraph,
    );
    const paths = quoted(where).filter((name) => TREE.test(name));
    t.ok(paths.length > 0, 'it names a place');
  }
  t.end();
});
