// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `make demo`, `make up` and `make down`: RFD 158's example deployment in
 * network namespaces of its own. As root directly; as an ordinary user inside
 * an unprivileged user namespace, where the kernel allows it.
 */

import { join } from 'node:path';
import { deploy } from './deployment.js';
import { enter } from './entry.js';
import { BUILD, DIRECTORY, raise } from './raise.js';
import { createAip, moveAip, snat } from './steps/customer.js';
import {
  controlPlaneDies,
  killZone,
  newFabric,
  zoneReturns,
} from './steps/operator.js';
import { Story } from './story.js';
import { down, holdUp, startUp } from './up.js';

const print = (line: string) => console.log(line);

async function demo(): Promise<number> {
  const story = new Story(print, () => performance.now());
  const lab = await raise(print);
  try {
    let deployment: Awaited<ReturnType<typeof deploy>> | undefined;
    await story.step('0', 'The deployment starts', async () => {
      deployment = await deploy(lab, (line) => story.tell(line));
    });
    if (deployment !== undefined) await tell(story, deployment);
    return story.finish(join(BUILD, 'demo.json')) ? 0 : 1;
  } finally {
    await lab.destroy();
  }
}

async function tell(
  story: Story,
  d: Awaited<ReturnType<typeof deploy>>,
): Promise<void> {
  await story.step('1', 'Three customers reach the Internet', () =>
    snat(d, story),
  );
  let aip: Awaited<ReturnType<typeof createAip>> | undefined;
  await story.step('2', 'A customer creates an AIP', async () => {
    aip = await createAip(d, story);
  });
  await story.step('3', 'The AIP moves, and what is refused', async () => {
    if (aip === undefined) throw new Error('there is no AIP');
    await moveAip(d, story, aip);
  });
  await story.step('4', 'A new fabric network', () => newFabric(d, story));
  let after: Awaited<ReturnType<typeof killZone>> | undefined;
  await story.step('5', 'A NAT zone dies', async () => {
    after = await killZone(d, story);
  });
  const needed = () => {
    if (after === undefined) throw new Error('step 5 did not hold');
    return after;
  };
  await story.step('6', 'The zone comes back', async () =>
    zoneReturns(d, story, needed()),
  );
  await story.step('7', 'The control plane dies', async () =>
    controlPlaneDies(d, story, needed()),
  );
}

const verb = process.argv[2];
const inside = process.env['VXLNAT_LAB'] !== undefined;
if (verb === 'down') process.exit(await down(DIRECTORY));
else if (verb !== 'demo' && verb !== 'up') {
  console.error('usage: main.js demo|up|down');
  process.exit(2);
} else if (inside && verb === 'demo') process.exit(await demo());
else if (inside) await holdUp(await raise(print), DIRECTORY, print);
else if (verb === 'demo') process.exit(await enter(verb));
else process.exit(await startUp(DIRECTORY));
