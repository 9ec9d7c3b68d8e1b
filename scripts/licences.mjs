#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What a production install depends on: every package of the tree below
// `dependencies`, with version, licence and size, as a table or (--json) JSON.
// Ends with status 1 when a licence is not one that we take.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const TAKEN = [
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'MPL-2.0',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
];

/** Their package.json does not say; their Readme does. */
const SAID_ELSEWHERE = { 'escape-regexp-component': 'MIT' };

function bytesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? bytesBelow(path) : statSync(path).size;
    })
    .reduce((sum, size) => sum + size, 0);
}

/** Old packages say `{type}`, or a list of them. */
function licenceOf({ name, license, licenses }) {
  const said = license ?? licenses ?? SAID_ELSEWHERE[name];
  const names = [said].flat().map((each) => each?.type ?? each ?? 'unknown');
  return names.join(' OR ');
}

/** Whether one of the alternatives is taken; AND is not looked for. */
function isTaken(licence) {
  return licence
    .replaceAll(/[()]/g, '')
    .split(/ OR |\//)
    .some((each) =>
      TAKEN.includes(each.trim().replace(/^Apache 2(\.0)?$/, 'Apache-2.0')),
    );
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const rows = Object.entries(packages)
  .filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
  .map(([path]) => {
    const about = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const { name, version } = about;
    const licence = licenceOf(about);
    return { name, version, licence, bytes: bytesBelow(path) };
  })
  .sort((a, b) => (a.name < b.name ? -1 : 1));

if (process.argv.includes('--json')) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  for (const { name, version, licence, bytes } of rows) {
    const size = `${Math.ceil(bytes / 1024)} KiB`;
    console.log(
      `${`${name}@${version}`.padEnd(40)} ${licence.padEnd(24)} ${size.padStart(10)}`,
    );
  }
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(
    `${rows.length} packages, ${(total / 1024 / 1024).toFixed(1)} MiB`,
  );
}
const refused = rows.filter(({ licence }) => !isTaken(licence));
for (const { name, licence } of refused) {
  console.error(`licences: ${name}: "${licence}" is not one that we take`);
}
process.exitCode = refused.length === 0 ? 0 : 1;
