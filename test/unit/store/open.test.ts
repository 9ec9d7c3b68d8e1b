// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a store does not survive being closed and opened, or is
 * opened by a program that cannot read it.
 */

import { existsSync } from 'node:fs';
import { Level } from 'level';
import test from 'tape';
import { openLevelStore } from '#lib/store/open.js';
import { manualClock } from '#test/manual-clock.js';
import { temporaryDirectory } from '#test/tmp.js';

const options = { clock: manualClock() };

async function message(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'nothing was thrown';
  } catch (error) {
    return String(error);
  }
}

test('a directory in use or of a newer format is refused', async (t) => {
  const directory = temporaryDirectory(t);
  const s = await openLevelStore(directory, options);
  const locked = await message(openLevelStore(directory, options));
  t.ok(locked.includes(directory), locked);
  await s.close();
  const level = new Level(directory);
  await level.put('m/format', '2');
  await level.close();
  const newer = await message(openLevelStore(directory, options));
  t.match(newer, /has format 2, this program reads format 1/);
});

test('what dropping had not cleared is cleared at opening', async (t) => {
  const directory = temporaryDirectory(t);
  const level = new Level(directory);
  await level.put('m/format', '1');
  await level.put('d/o00000001', '');
  await level.put('o00000001key', '{}');
  await level.put('o00000002key', '{}');
  await level.put('m/horizon', '5');
  await level.put('j00000000000005', '{}');
  await level.put('j00000000000006', '{}');
  await level.close();
  const s = await openLevelStore(directory, options);
  await s.close();
  await level.open();
  t.deepEqual(await level.keys().all(), [
    'j00000000000006',
    'm/format',
    'm/horizon',
    'o00000002key',
  ]);
  await level.close();
});

test('a store in memory leaves nothing behind', async (t) => {
  const directory = `${temporaryDirectory(t)}/unused`;
  const s = await openLevelStore(directory, { ...options, memory: true });
  await s.createBucket('one', { index: {} });
  await s.putObject('one', 'k', {});
  await s.close();
  t.notOk(existsSync(directory), 'the directory is not used');
});
