// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** From nothing to machines on wires, with a fresh folder for logs. */

import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { OPERATOR_IP, PREFIX } from './entry.js';
import { Lab } from './netns.js';
import { buildWorld } from './world.js';

export const BUILD = resolve('build');
export const DIRECTORY = join(BUILD, 'demo');

/** The machines and everything on them; we are in the operator's already. */
export async function raise(print: (line: string) => void): Promise<Lab> {
  rmSync(DIRECTORY, { recursive: true, force: true });
  mkdirSync(DIRECTORY, { recursive: true });
  const lab = new Lab(PREFIX, DIRECTORY);
  print('RFD 158, example deployment: five compute nodes, two NAT zones');
  await buildWorld(lab);
  await lab.cable(
    { machine: 'operator', device: 'admin0' },
    { machine: 'switch', device: 'operator-adm' },
  );
  await lab.ip('switch', ['link set operator-adm master br-admin']);
  await lab.ip('operator', [
    'link set lo up',
    `addr add ${OPERATOR_IP}/24 dev admin0`,
  ]);
  return lab;
}
