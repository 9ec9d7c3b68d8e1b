// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The `zones` benchmark inside the operator's machine; see zones-lab.ts. */

import { writeFileSync } from 'node:fs';
import { deploy } from '../../demo/deployment.js';
import { raise } from '../../demo/raise.js';
import { benchZones } from './zones.js';

const lab = await raise((line) => console.error(`bench: ${line}`));
try {
  const deployment = await deploy(lab, (line) => console.error(line));
  const rows = await benchZones(deployment);
  writeFileSync('build/bench-zones.json', JSON.stringify(rows));
} finally {
  await lab.destroy();
}
