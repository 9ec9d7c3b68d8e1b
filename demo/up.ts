// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `make up` and `make down`: the deployment of the demo, left running in the
 * background. One process holds it; its pid and the text for the user are in
 * build/demo-up.json.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deploy } from './deployment.js';
import { launch, PREFIX } from './entry.js';
import { type Lab, removeNamespaces } from './netns.js';
import { HEAD, INSTANCES, ZONES } from './topology.js';

interface UpState {
  pid: number;
  text: string;
}

const stateFile = (directory: string) => `${directory}-up.json`;

function readState(directory: string): UpState | null {
  const file = stateFile(directory);
  if (!existsSync(file)) return null;
  return JSON.parse(readFileSync(file, 'utf8')) as UpState;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Starts the holder in the background and waits until it is ready. */
export async function startUp(directory: string): Promise<number> {
  const running = readState(directory);
  if (running !== null && alive(running.pid)) {
    console.log(running.text);
    console.log('It was running already; `make down` ends it.');
    return 0;
  }
  rmSync(stateFile(directory), { force: true });
  const log = `${directory}-up.log`;
  console.log('starting the example deployment (about ten seconds)');
  const child = await launch('up', log);
  child.unref();
  for (;;) {
    await sleep(200);
    const state = readState(directory);
    if (state !== null) {
      console.log(state.text);
      return 0;
    }
    if (child.exitCode !== null || child.signalCode !== null) {
      console.error(readFileSync(log, 'utf8'));
      console.error(`up: did not start; see ${log} and ${directory}/`);
      return 1;
    }
  }
}

/** Inside: deploys, says so, and holds until it is told to end. */
export async function holdUp(
  lab: Lab,
  directory: string,
  print: (line: string) => void,
): Promise<void> {
  const end = async (status: number) => {
    rmSync(stateFile(directory), { force: true });
    await lab.destroy();
    process.exit(status);
  };
  process.on('SIGTERM', () => void end(0));
  process.on('SIGINT', () => void end(0));
  try {
    await deploy(lab, print);
  } catch (error) {
    print(`up: ${(error as Error).message}`);
    await end(1);
  }
  const state: UpState = { pid: process.pid, text: guide(directory) };
  writeFileSync(stateFile(directory), JSON.stringify(state));
}

/** Ends what `make up` started and leaves nothing behind. */
export async function down(directory: string): Promise<number> {
  const state = readState(directory);
  if (state !== null && alive(state.pid)) {
    process.kill(state.pid, 'SIGTERM');
    while (alive(state.pid)) await sleep(50);
  }
  rmSync(stateFile(directory), { force: true });
  if (process.getuid?.() === 0) await removeNamespaces(PREFIX);
  console.log(state === null ? 'nothing was running' : 'ended');
  return 0;
}

/** How to play with it. */
function guide(directory: string): string {
  const napi = `http://${HEAD.admin}:${HEAD.napi_port}`;
  const cloud = `http://${HEAD.admin}:${HEAD.cloudapi_port}`;
  const key = join(directory, 'keys', 'alice.pem');
  const enter =
    process.getuid?.() === 0 && !process.env['VXLNAT_UNPRIVILEGED']
      ? (machine: string) => `ip netns exec ${PREFIX}-${machine}`
      : (machine: string) =>
          `nsenter -t ${process.pid} -U --preserve-credentials -m ` +
          `ip netns exec ${PREFIX}-${machine}`;
  const op = enter('operator');
  return [
    '',
    'The example deployment is running. Some things to try:',
    '',
    '  what an instance looks like from the Internet',
    `    ${enter('web')} curl -s http://198.51.100.10/`,
    '  networks, zones and who serves which public IP',
    `    ${op} curl -s ${napi}/nat_zones`,
    `    ${op} curl -s ${napi}/nat_publics`,
    '  one zone from inside',
    ...ZONES.map(
      (zone) =>
        `    ${op} node dist/services/vxlnatd/adm/main.js ` +
        `-u http://${zone.admin}:2960 status`,
    ),
    "  alice's AIPs: a signed request, as any CloudAPI client sends it",
    `    now=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')`,
    `    sig=$(printf 'date: %s' "$now" | openssl dgst -sha256 -sign ${key} | base64 -w0)`,
    `    ${op} curl -s -X POST ${cloud}/my/aips -H "date: $now" \\`,
    `      -H 'content-type: application/json' -d '{"instance":"${INSTANCES[0]?.uuid}"}' \\`,
    `      -H "authorization: Signature keyId=\\"/alice/keys/demo\\",algorithm=\\"rsa-sha256\\",headers=\\"date\\",signature=\\"$sig\\""`,
    '',
    `Logs are in ${directory}/. \`make down\` ends it all.`,
  ].join('\n');
}
