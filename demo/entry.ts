// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * How the demo gets into its own network: it runs again inside the operator's
 * machine, a namespace on the admin network. As root the namespaces are
 * ordinary named ones; as another user everything happens inside a user
 * namespace with its own /run.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, openSync } from 'node:fs';
import { removeNamespaces, run } from './netns.js';

/** Every namespace of the demo begins with this. */
export const PREFIX = 'vxn';
/** The operator's address on the admin network. */
export const OPERATOR_IP = '10.99.99.100';

type Verb = 'demo' | 'up' | 'bench';

const OPERATOR = `${PREFIX}-operator`;

/** The shell line that makes the operator's machine and runs us in it. */
function innerCommand(verb: string, program: string): string {
  const self = `"${process.execPath}" "${program}" ${verb}`;
  return (
    `ip netns add ${OPERATOR} && ` +
    `exec nsenter --net=/run/netns/${OPERATOR} ${self}`
  );
}

/**
 * Starts this program again inside the operator's machine.
 * @param verb what to do there
 * @param log file for its output, or null for ours
 * @param program to run there; this one unless another is named
 * @returns the child; detached when it writes to a log
 */
export async function launch(
  verb: Verb,
  log: string | null,
  program = process.argv[1] as string,
): Promise<ChildProcess> {
  const root = process.getuid?.() === 0;
  if (root) await removeNamespaces(PREFIX);
  const argv = root
    ? ['sh', '-c', innerCommand(verb, program)]
    : [
        ...['unshare', '--user', '--map-root-user', '--net', '--mount'],
        ...[
          'sh',
          '-c',
          `mount -t tmpfs tmpfs /run && ${innerCommand(verb, program)}`,
        ],
      ];
  const output = log === null ? 'inherit' : openSync(log, 'w');
  return spawn(argv[0] as string, argv.slice(1), {
    stdio: ['ignore', output, output],
    detached: log !== null,
    env: {
      ...process.env,
      VXLNAT_LAB: verb,
      ...(root ? {} : { VXLNAT_UNPRIVILEGED: '1' }),
    },
  });
}

/** Runs the demo inside and returns its exit status, cleaning up after it. */
export async function enter(verb: Verb, program?: string): Promise<number> {
  const child = await launch(verb, null, program);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => child.kill('SIGTERM'));
  }
  const status = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
  if (process.getuid?.() === 0) await removeNamespaces(PREFIX);
  else if (status !== 0) await explainUnprivileged();
  return status;
}

function explainTun(): void {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    console.error(
      'demo: /dev/net/tun cannot be opened by this user; most systems allow ' +
        'it (mode 0666); change that or run the demo as root',
    );
  }
}

/** What an ordinary user needs, said plainly. */
export async function explainUnprivileged(): Promise<void> {
  const allowed = await run([
    ...['unshare', '--user', '--map-root-user', '--net', '--mount', 'true'],
  ]).then(
    () => true,
    () => false,
  );
  if (allowed) {
    explainTun();
    return;
  }
  console.error(
    'demo: this kernel does not let ordinary users make network namespaces ' +
      '(see user.max_user_namespaces, kernel.unprivileged_userns_clone and ' +
      'kernel.apparmor_restrict_unprivileged_userns); run it as root',
  );
}
