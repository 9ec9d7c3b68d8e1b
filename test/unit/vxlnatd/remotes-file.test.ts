// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Remotes on disk: read as written, refused when damaged, absent is none. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { temporaryDirectory } from '#test/tmp.js';
import {
  loadRemotes,
  saveRemotes,
} from '../../../services/vxlnatd/svp/remotes-file.js';

const REMOTE = {
  vnet_id: 1,
  ip: '10.4.4.10',
  mac: '90:b8:d0:00:00:01',
  ul3_ip: '192.168.12.1',
  ul3_port: 4789,
};

test('remotes come back as they were saved', async (t) => {
  const directory = temporaryDirectory(t);
  t.deepEqual(await loadRemotes(directory), [], 'no file is no remotes');
  await saveRemotes(directory, [REMOTE]);
  t.deepEqual(await loadRemotes(directory), [REMOTE]);
  await saveRemotes(directory, []);
  t.deepEqual(await loadRemotes(directory), []);
});

test('a damaged file is refused by name', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'remotes.json');
  for (const text of [
    '',
    '{',
    '[]',
    '{"version":2,"remotes":[]}',
    JSON.stringify({ version: 1, remotes: [{ ...REMOTE, ip: '10.4.4' }] }),
    JSON.stringify({ version: 1, remotes: [{ ...REMOTE, vnet_id: -1 }] }),
    JSON.stringify({ version: 1, remotes: [null] }),
  ]) {
    writeFileSync(file, text);
    const error = await loadRemotes(directory).catch((e: Error) => e);
    t.ok(error instanceof Error && error.message.startsWith(file), text);
  }
});
