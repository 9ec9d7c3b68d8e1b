// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One command at a time changes a datacenter from this machine. The lock is a
 * loopback port that only one process can listen on: the kernel gives it back
 * however the holder ends, so there is no stale lock to judge.
 */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { internalError } from './errors.js';

/** Held by whoever changes something. */
export const LOCK_PORT = 2964;

const POLL_MS = 200;
/** Only a wait that an operator would notice is told. */
const TELL_MS = 1000;

async function tryLock(port: number): Promise<(() => void) | null> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ host: '127.0.0.1', port, exclusive: true });
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return null;
    throw internalError(`cannot lock: 127.0.0.1:${port}: ${message}`);
  }
  return () => void server.close();
}

/**
 * Waits for the lock.
 * @param ui told once when it takes long
 * @returns gives it back
 * @throws SdcadmError where the port cannot be listened on at all
 */
export async function takeLock(
  ui: (line: string) => void,
  port = LOCK_PORT,
): Promise<() => void> {
  const started = performance.now();
  let told = false;
  for (;;) {
    const unlock = await tryLock(port);
    if (unlock !== null) return unlock;
    if (!told && performance.now() - started > TELL_MS) {
      ui('Waiting for sdcadm lock');
      told = true;
    }
    await pause(POLL_MS);
  }
}
