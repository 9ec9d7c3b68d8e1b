#!/usr/bin/env node
// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** sdcadm-vxlnat: the process around `cli.ts`. */

import { sdcadmVxlnat } from './cli.js';
import { openContext } from './open.js';

const { status, stderr } = await sdcadmVxlnat(
  process.argv.slice(2),
  openContext,
  (text) => void process.stdout.write(text),
);
process.stderr.write(stderr);
process.exitCode = status;
