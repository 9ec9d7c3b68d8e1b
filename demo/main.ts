// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `make demo`, `make up` and `make down`: RFD 158's example deployment in
 * network namespaces of its own. As root directly; as an ordinary user inside
 * an unprivileged user namespace, where the kernel allows it.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { deploy } from './deployment.js';
import { enter, OPERATOR_IP, PREFIX } from './entry.js';
import { Lab } from './netns.js';
import { createAip, moveAip, snat } from './steps/customer.js';
import {
  controlPlaneDies,
  killZone,
  newFabric,
  zoneReturns,
} from './steps/operator.js';
import { Story } from './story.js';
import { down, holdUp, startUp } from './up.js';
import { buildWorld } from './world.js';

const BUILD = resolve('build');
const DIRECTORY = join(BUILD, 'demo');

const print = (line: string) => console.log(line);

/** The machines and everything on them. */
async function raise() {
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

async function demo(): Promise<number> {
  const story = new Story(print, () => performance.now());
  const lab = await raise();
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
else if (inside) await holdUp(await raise(), DIRECTORY, print);
else if (verb === 'demo') process.exit(await enter(verb));
else process.exit(await startUp(DIRECTORY));
