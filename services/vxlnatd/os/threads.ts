// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What the packet threads of this process have used of their processors. Linux
 * tells nanoseconds in /proc/self/task/<id>/schedstat.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** One packet thread. */
export interface ThreadTime {
  name: string;
  seconds: number;
}

const TASKS = '/proc/self/task';
/** How the engine names its threads. */
const OURS = 'vxlnat-';

function read(task: string): ThreadTime | null {
  try {
    const name = readFileSync(`${TASKS}/${task}/comm`, 'utf8').trim();
    if (!name.startsWith(OURS)) return null;
    const [ran] = readFileSync(`${TASKS}/${task}/schedstat`, 'utf8').split(' ');
    return { name, seconds: Number(ran) / 1e9 };
  } catch {
    // The thread has ended, or this system does not tell.
    return null;
  }
}

/** The engine's threads; none where the system does not tell. */
export function threadTimes(): ThreadTime[] {
  try {
    return readdirSync(TASKS)
      .map(read)
      .filter((thread) => thread !== null);
  } catch {
    return [];
  }
}
