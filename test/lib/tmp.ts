// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Directories that live as long as a test. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tape';

/**
 * @param t the test at whose end the directory is removed
 * @returns path of a new empty directory
 */
export function temporaryDirectory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'vxlnat-test-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
