// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The names of all tests, for documents that say which test shows what. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * The names of all tests, native ones first put together from their parts.
 * @param folder only those below it
 */
export function testNames(folder = ''): Set<string> {
  const files = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', 'test', 'native/vxlnat/test'],
    { encoding: 'utf8' },
  )
    .split('\n')
    .filter((name) => /\.(?:test\.ts|cc)$/.test(name) && existsSync(name))
    .filter((name) => name.startsWith(folder));
  const names = new Set<string>();
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    const pattern = file.endsWith('.cc')
      ? /^TEST\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)/gm
      : /^(?:\w*[tT]est|system|datapath|xdp)\(\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/gm;
    for (const match of text.matchAll(pattern)) {
      const parts = (match[1] as string).matchAll(
        /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'/g,
      );
      names.add([...parts].map((part) => part[1] ?? part[2]).join(''));
    }
  }
  return names;
}
